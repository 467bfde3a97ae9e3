"""Arguments: every training value of the configuration arrives, and every parameter stands in its group."""

import pytest
import torch
from torch import nn

from genomic_lens.model import HyenaGLTForSequenceClassification
from genomic_lens.training.arguments import parameter_groups, training_arguments


@pytest.mark.parametrize(
    ("key", "value", "argument", "expected"),
    [
        ("learning_rate", 3e-3, "learning_rate", 3e-3),
        ("batch_size", 7, "per_device_train_batch_size", 7),
        ("batch_size", 128, "per_device_eval_batch_size", 128),
        ("num_epochs", 5, "num_train_epochs", 5),
        ("weight_decay", 0.3, "weight_decay", 0.3),
        ("warmup_fraction", 0.2, "warmup_steps", 0.2),
        ("max_grad_norm", 0.5, "max_grad_norm", 0.5),
        ("seed", 11, "seed", 11),
        ("logging_steps", 3, "logging_steps", 3),
        ("save_steps", 4, "save_steps", 4),
        ("save_steps", 4, "save_strategy", "steps"),
        ("save_steps", 0, "save_strategy", "epoch"),
        ("eval_steps", 6, "eval_steps", 6),
        ("eval_steps", 6, "eval_strategy", "steps"),
        ("eval_steps", 0, "eval_strategy", "epoch"),
    ],
)
def test_every_training_value_of_the_configuration_arrives(make_config, tmp_path, key, value, argument, expected):
    found = training_arguments(make_config(**{key: value}), tmp_path, evaluates=True)
    assert getattr(found, argument) == expected


def test_warm_up_is_a_fraction_of_all_steps(make_trainer):
    """10 of 18 steps at half: the rate climbs evenly to its full height at step 9 and falls from there."""
    trainer = make_trainer(warmup_fraction=0.5, learning_rate=0.01)
    rates = trainer.train()["learning_rate"].dropna().tolist()
    assert rates[:9] == pytest.approx([0.01 * step / 9 for step in range(9)])
    assert rates[9] == pytest.approx(0.01)
    assert all(earlier > later for earlier, later in zip(rates[9:], rates[10:], strict=False))


def test_label_smoothing_arrives_in_the_loss(make_config):
    """The loss belongs to the model, so this one value reaches it through the model's configuration."""
    logits, labels = torch.tensor([[4.0, -1.0], [0.5, 0.0]]), torch.tensor([0, 1])
    for smoothing in (0.0, 0.2):
        model = HyenaGLTForSequenceClassification(make_config(label_smoothing=smoothing))
        expected = nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        assert model.loss(logits, labels) == expected


def test_without_a_folder_nothing_is_saved_and_without_validation_nothing_is_evaluated(make_config, tmp_path):
    arguments = training_arguments(make_config(save_steps=3, eval_steps=3), None, evaluates=False)
    assert (arguments.save_strategy, arguments.eval_strategy) == ("no", "no")
    assert training_arguments(make_config(), tmp_path, evaluates=False).save_strategy == "epoch"


def test_nothing_is_reported_to_anybody(make_config):
    assert training_arguments(make_config(), None, evaluates=False).report_to == []


# --- groups ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def grouped(make_config):
    config = make_config(n_layers=2, weight_decay=0.3, learning_rate=1e-3, filter_learning_rate=5e-4)
    model = HyenaGLTForSequenceClassification(config)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = parameter_groups(model, config)
    return model, groups, [{names[id(parameter)] for parameter in group["params"]} for group in groups]


def test_every_parameter_stands_in_exactly_one_group(grouped):
    model, groups, names = grouped
    everything = [name for group in names for name in group]
    assert sorted(everything) == sorted(name for name, _ in model.named_parameters())
    assert sum(len(group["params"]) for group in groups) == len(everything)
    assert [group["name"] for group in groups] == ["weights", "biases, norms, embeddings", "filters"]
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(1e-3, 0.3), (1e-3, 0.0), (5e-4, 0.0)]


def test_each_kind_of_parameter_stands_where_it_belongs(grouped):
    """Matrices decay; biases, norms and the embedding do not; the filter network is apart, its biases included."""
    _, _, (decayed, kept, filters) = grouped
    block = "backbone.layers.1."
    assert decayed >= {
        f"{block}mixer.in_proj.weight", f"{block}mixer.out_proj.weight", f"{block}mixer.short_filter.weight",
        f"{block}mlp.fc1.weight", f"{block}mlp.fc2.weight", "head.score.weight",
    }  # fmt: skip
    assert kept >= {
        "backbone.embeddings.word_embeddings.weight", f"{block}norm1.weight", f"{block}norm1.bias",
        f"{block}mlp.fc1.bias",
        f"{block}mixer.short_filter.bias", "backbone.ln_f.weight", "head.score.bias",
    }  # fmt: skip
    assert all(name.endswith(".weight") for name in decayed)
    assert filters == {name for name in decayed | kept | filters if ".mixer.filter_fn." in name}
    assert f"{block}mixer.filter_fn.implicit_filter.1.freq" in filters


def test_filters_learn_at_the_common_rate_unless_they_have_their_own(make_config):
    config = make_config(learning_rate=2e-3)
    assert parameter_groups(HyenaGLTForSequenceClassification(config), config)[2]["lr"] == 2e-3


def test_frozen_parameters_stand_in_no_group(make_config):
    config = make_config()
    model = HyenaGLTForSequenceClassification(config)
    model.backbone.requires_grad_(False)
    groups = parameter_groups(model, config)
    assert [len(group["params"]) for group in groups] == [1, 1, 0]


def test_the_trainer_optimises_these_groups(make_trainer):
    """A rate and a decay of their own must survive the trainer's scheduler: after one step each has its rate."""
    trainer = make_trainer(filter_learning_rate=1e-4, learning_rate=1e-2, warmup_fraction=0.0, weight_decay=0.2)
    optimizer = trainer.hf.create_optimizer()
    assert [group["lr"] for group in optimizer.param_groups] == [1e-2, 1e-2, 1e-4]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.2, 0, 0]
    trainer.train()
    assert optimizer.param_groups[2]["initial_lr"] == 1e-4
    assert optimizer.param_groups[2]["lr"] == pytest.approx(0.01 * optimizer.param_groups[0]["lr"], abs=1e-12)
