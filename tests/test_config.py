"""The configuration: names, ranges, and a round trip through its file."""

import json
import re

import pytest

from genomic_lens.config import ALIASES, HyenaGLTConfig, check_names
from genomic_lens.errors import ConfigurationError, GenomicLensError


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_alias_and_name_are_one_value_in_both_directions(alias, name):
    config = HyenaGLTConfig(**{alias: 6})
    assert getattr(config, name) == getattr(config, alias) == 6
    setattr(config, alias, 7)
    assert getattr(config, name) == 7
    setattr(config, name, 8)
    assert getattr(config, alias) == 8
    assert getattr(HyenaGLTConfig(**{name: 9}), alias) == 9


@pytest.mark.parametrize(
    ("slip", "meant"), [("d_modle", "d_model"), ("hidden_sise", "hidden_size"), ("seqence_length", "sequence_length")]
)
def test_misspelt_name_is_refused_and_the_nearest_offered(slip, meant):
    with pytest.raises(ConfigurationError, match=f"'{slip}'; did you mean '{meant}'"):
        HyenaGLTConfig(**{slip: 64})


def test_name_that_resembles_nothing_gets_the_list_of_names():
    with pytest.raises(ConfigurationError, match=r"'zzz'; known names: .*d_model.*vocab_size"):
        HyenaGLTConfig(zzz=1)
    with pytest.raises(ConfigurationError, match="did you mean 'right'"):
        check_names(["rigth"], ["left", "right"])


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("vocab_size", 0, 1), ("d_model", 0, 1), ("d_model", 64.0, 64), ("n_layers", 0, 1), ("sequence_length", 0, 1),
        ("hyena_order", 1, 2), ("conv_kernel_size", 0, 1), ("conv_kernel_size", 4, 5), ("filter_order", 0, 1),
        ("filter_features", 1, 3), ("filter_features", 4, 5), ("filter_depth", -1, 0), ("mlp_ratio", 0, 1),
        ("pad_vocab_size_multiple", 0, 8),
        ("num_classes", 0, 1), ("batch_size", 0, 1), ("num_epochs", 0, 1), ("save_steps", -1, 0), ("eval_steps", -1, 0),
        ("logging_steps", 0, 1), ("dropout", -0.1, 0.0), ("dropout", 1.0, 0.99), ("dropout", float("nan"), 0),
        ("dropout", "0.1", 0.1), ("dropout", None, 0.1), ("warmup_fraction", 1.0, 0.5), ("label_smoothing", -0.1, 0.5),
        ("pooling", "max", "last"), ("task_type", "poetry", "variant_effect"), ("num_heads", 0, 4),
        ("short_taps", 0, 1), ("outer_layers", 0, 1), ("chunking", "sorting", "routing"), ("merge_ratio", 1.0, 0.9),
        ("target_ratios", (0.0,), (0.5,)), ("accumulation_steps", 0, 1), ("early_stopping_patience", -1, 0),
        ("precision", "half", "bf16"), ("gradient_checkpointing", "yes", True), ("warmup_steps", -1, 0),
    ],
)  # fmt: skip
def test_value_out_of_range_is_refused_by_name_and_the_edge_of_the_range_is_taken(name, wrong, right):
    shown = ALIASES.get(name, name)
    with pytest.raises(ConfigurationError, match=rf"{shown}(=| is ){re.escape(repr(wrong))}"):
        HyenaGLTConfig(**{name: wrong})
    assert getattr(HyenaGLTConfig(**{name: right}), name) == right


def test_configuration_errors_are_value_errors_for_code_that_knows_nothing_of_us():
    with pytest.raises(ValueError, match="d_model") as caught:
        HyenaGLTConfig(d_model=0)
    assert isinstance(caught.value, GenomicLensError)


CHANGED = {
    "vocab_size": 13, "d_model": 24, "n_layers": 5, "sequence_length": 96, "task_type": "variant_effect",
    "use_dynamic_merging": False, "chunking": "routing", "outer_layers": 2, "merge_ratio": 0.4, "merge_threshold": 0.2,
    "target_ratios": (0.2,), "ratio_loss_weight": 0.1, "stage_widths": (32,), "kmer_sizes": (3,), "patch_order": 3,
    "patch_threshold": 1.2, "patch_mode": "monotonic", "longest_patch": 32,
    "layout": "se-attention", "short_taps": 5, "medium_taps": 64,
    "filter_groups": 4, "filter_modes": 8, "num_heads": 4, "rotary_base": 5e3, "projection_bias": False,
    "gated_mlp": True, "rms_norm": True, "bent_layers": 1, "hyena_order": 3, "conv_kernel_size": 5, "filter_order": 8,
    "filter_features": 7,
    "filter_depth": 1, "filter_frequency": 3.5, "filter_shift": 0.25, "two_sided": True, "mlp_ratio": 2, "dropout": 0.3,
    "filter_tables": True, "d_inner": 56, "embed_dropout": 0.2, "pad_vocab_size_multiple": 8,
    "tie_word_embeddings": False,
    "pooling": "last", "layer_norm_eps": 1e-6, "initializer_range": 0.1, "pad_token_id": 5, "bos_token_id": 3,
    "masked_token_ids": [1, 2, 11], "learning_rate": 2e-4, "filter_learning_rate": 3e-4, "batch_size": 7,
    "batch_tokens": 900,
    "num_epochs": 3, "weight_decay": 0.2, "warmup_fraction": 0.05, "warmup_steps": 20, "max_grad_norm": 2.0,
    "label_smoothing": 0.1, "accumulation_steps": 2, "precision": "bf16", "gradient_checkpointing": True,
    "early_stopping_patience": 3, "mlm_probability": 0.2, "mask_replace_prob": 0.7, "random_replace_prob": 0.2,
    "report_to": ("csv",),
    "save_steps": 11, "eval_steps": 12, "logging_steps": 13, "seed": 14,
}  # fmt: skip


def test_round_trip_through_the_file_keeps_every_field(tmp_path):
    """Every own field differs from its default, and no own field is forgotten here, so a default cannot stand in.

    Two fields stand at their default because another one says the same: `chunking`, and `warmup_steps`.
    """
    own = set(HyenaGLTConfig.__annotations__)
    assert own == set(CHANGED), "a field was added or removed: give it a value here that is not its default"
    default = HyenaGLTConfig()
    unchanged = {name for name in own if getattr(default, name) == CHANGED[name]}
    assert unchanged == {"use_dynamic_merging", "warmup_fraction"}
    HyenaGLTConfig(**CHANGED, id2label={0: "donor", 1: "acceptor", 2: "neither"}).save_pretrained(tmp_path)
    again = HyenaGLTConfig.from_pretrained(tmp_path)
    assert {name: getattr(again, name) for name in own} == CHANGED
    assert again.id2label == {0: "donor", 1: "acceptor", 2: "neither"}
    assert again.num_classes == 3


@pytest.mark.parametrize(
    ("change", "message"), [({"d_modle": 8}, "'d_modle'; did you mean 'd_model'"), ({"n_layers": 0}, "n_layers is 0")]
)
def test_edited_file_is_checked_like_a_call(tmp_path, change, message):
    HyenaGLTConfig().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ConfigurationError, match=message):
        HyenaGLTConfig.from_pretrained(tmp_path)


def test_two_names_of_one_value_that_disagree_are_refused():
    with pytest.raises(ConfigurationError, match="d_model=64 and hidden_size=32 came"):
        HyenaGLTConfig(d_model=64, hidden_size=32)


def test_a_warm_up_is_given_in_steps_or_as_a_share():
    with pytest.raises(ConfigurationError, match="warmup_steps=1000 and warmup_fraction=0.1 came"):
        HyenaGLTConfig(warmup_steps=1000, warmup_fraction=0.1)
    assert HyenaGLTConfig(warmup_steps=1000).warmup_steps == 1000


def test_who_is_told_of_a_training_is_one_of_three():
    assert HyenaGLTConfig().report_to == ()
    assert HyenaGLTConfig(report_to="csv").report_to == ("csv",)
    with pytest.raises(ConfigurationError, match="report_to has 'mail'; expected some of csv, tensorboard, wandb"):
        HyenaGLTConfig(report_to=["csv", "mail"])


@pytest.mark.parametrize(
    "shares",
    [{"mlm_probability": 0}, {"mask_replace_prob": 0.9, "random_replace_prob": 0.2}, {"random_replace_prob": -0.1}],
)
def test_shares_of_hidden_bases_are_shares(shares):
    with pytest.raises(ConfigurationError, match="expected shares from 0 to 1"):
        HyenaGLTConfig(**shares)


def test_a_model_keeps_what_the_configuration_says_of_its_training(build_model):
    """transformers would switch checkpointing on and delete the value, and the trainer would never hear of it."""
    model = build_model(gradient_checkpointing=True)
    assert model.config.gradient_checkpointing is True
    assert not model.is_activation_checkpointing


def test_two_names_of_one_value_that_agree_are_taken():
    config = HyenaGLTConfig(d_model=64, hidden_size=64, num_classes=2, id2label={0: "a", 1: "b"})
    assert (config.d_model, config.num_labels) == (64, 2)


def test_widths_follow_the_width_of_the_model_unless_they_are_given():
    assert HyenaGLTConfig(d_model=24, mlp_ratio=3).mlp_width == 72
    assert HyenaGLTConfig(d_model=24, d_inner=100).mlp_width == 100
    assert HyenaGLTConfig(dropout=0.3).embedding_dropout == 0.3
    assert HyenaGLTConfig(dropout=0.3, embed_dropout=0.0).embedding_dropout == 0.0


def test_a_copy_with_another_width_has_the_mlp_that_belongs_to_it():
    known = HyenaGLTConfig(d_model=24).to_dict() | {"d_model": 48}
    assert HyenaGLTConfig(**{name: known[name] for name in HyenaGLTConfig.__annotations__}).mlp_width == 192


@pytest.mark.parametrize(
    ("name", "wrong", "shown"), [("d_inner", 0, "mlp_width"), ("embed_dropout", 1.0, "embedding_dropout")]
)
def test_what_stands_for_a_default_is_checked_too(name, wrong, shown):
    with pytest.raises(ConfigurationError, match=f"{shown} is {wrong}"):
        HyenaGLTConfig(**{name: wrong})


@pytest.mark.parametrize(("vocabulary", "multiple", "rows"), [(12, 8, 16), (16, 8, 16), (12, 1, 12)])
def test_the_embedding_has_a_multiple_of_rows(vocabulary, multiple, rows):
    assert HyenaGLTConfig(vocab_size=vocabulary, pad_vocab_size_multiple=multiple).embedding_rows == rows
