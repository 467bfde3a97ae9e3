"""Published layouts: names, shapes, files, and everything that may be wrong with them."""

import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from genomic_lens.errors import ModelError
from genomic_lens.model.hyena_dna import (
    HyenaDNAConfig,
    HyenaDNAForCausalLM,
    HyenaDNAForSequenceClassification,
    HyenaDNAModel,
)
from genomic_lens.model.weights.checkpoints import canonical_names, infer_shape, one_frequency, read_weights

SHAPE = {
    "vocab_size": 12, "pad_vocab_size_multiple": 8, "d_model": 6, "n_layers": 3, "d_inner": 10, "hyena_order": 3,
    "conv_kernel_size": 5, "filter_order": 8, "filter_features": 7, "filter_depth": 1, "sequence_length": 34,
}  # fmt: skip
IDS = torch.tensor([[7, 8, 9, 10, 11, 7]])
NETWORK = "backbone.layers.0.mixer.filter_fn.implicit_filter"


@pytest.fixture
def model():
    torch.manual_seed(0)
    return HyenaDNAForCausalLM(HyenaDNAConfig(**SHAPE, initializer_range=0.3)).eval()


def three_frequencies(weights):
    """As the training repository stores them."""
    copies = {name.replace(".1.freq", f".{place}.freq"): value.clone()
              for name, value in weights.items() if name.endswith(".1.freq") for place in (3,)}  # fmt: skip
    return weights | copies


LAYOUTS = {
    "ours": lambda weights: weights,
    "lightning": lambda weights: {f"model.{name}": value for name, value in three_frequencies(weights).items()}
    | {"train_torchmetrics.loss.mean_value": torch.zeros(())},
    "checkpointing": lambda weights: {
        f"model.{name.replace('.mixer.', '.mixer.layer.').replace('.mlp.', '.mlp.layer.')}": value
        for name, value in three_frequencies(weights).items()
    },
    "hugging face": lambda weights: {
        name if name.startswith("lm_head") else f"hyena.{name}": value for name, value in weights.items()
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_model_back(model, layout, tmp_path):
    weights = LAYOUTS[layout]({name: value.clone() for name, value in model.state_dict().items()})
    if layout == "hugging face":
        save_file(weights, tmp_path / "model.safetensors")
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "hyenadna", "d_model": 999, "emb_dim": 3}))
    else:
        torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "weights.ckpt")
    loaded = HyenaDNAForCausalLM.from_pretrained(tmp_path)
    assert {name: getattr(loaded.config, name) for name in SHAPE} == SHAPE
    assert loaded.config.tie_word_embeddings
    with torch.no_grad():
        assert torch.equal(loaded(IDS).logits, model(IDS).logits)


def test_shapes_tell_the_configuration(model):
    assert infer_shape(canonical_names(model.state_dict())) == SHAPE


def test_tables_are_used_where_they_are_and_computed_where_not(model, tmp_path):
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    without = {name: value for name, value in weights.items() if "pos_emb" not in name and "deltas" not in name}
    save_file(without, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="tell the longest input; pass sequence_length"):
        HyenaDNAForCausalLM.from_pretrained(tmp_path)
    loaded = HyenaDNAForCausalLM.from_pretrained(tmp_path, sequence_length=34)
    with torch.no_grad():
        assert torch.equal(loaded(IDS).logits, model(IDS).logits)
    weights["backbone.layers.0.mixer.filter_fn.pos_emb.z"] += 0.1  # learnt, as naive fine-tuning of the port does
    save_file(weights, tmp_path / "model.safetensors")
    changed = HyenaDNAForCausalLM.from_pretrained(tmp_path)
    with torch.no_grad():
        assert not torch.allclose(changed(IDS).logits, model(IDS).logits, atol=1e-4)


def test_backbone_serves_another_head_and_a_fine_tuned_head_comes_back(model, tmp_path):
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    torch.save({"state_dict": weights}, tmp_path / "weights.ckpt")
    classifier = HyenaDNAForSequenceClassification.from_pretrained(tmp_path, num_classes=4)
    assert classifier.head.score.weight.shape == (4, 6)
    assert torch.equal(classifier.backbone.ln_f.weight, model.backbone.ln_f.weight)
    tuned = {f"model.{name}": value for name, value in weights.items() if not name.startswith("lm_head")}
    tuned |= {"decoder.0.output_transform.weight": torch.ones(5, 6), "decoder.0.output_transform.bias": torch.ones(5)}
    torch.save({"state_dict": tuned}, tmp_path / "weights.ckpt")
    again = HyenaDNAForSequenceClassification.from_pretrained(tmp_path)
    assert torch.equal(again.head.score.weight, torch.ones(5, 6))
    assert HyenaDNAModel.from_pretrained(tmp_path)(IDS).last_hidden_state.shape == (1, 6, 6)


def saved(weights, folder):
    save_file({name: value.clone().contiguous() for name, value in weights.items()}, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda weights: weights.pop("backbone.ln_f.bias"), "lacks 1 weights of the backbone: backbone.ln_f.bias"),
        (lambda weights: weights.update({"backbone.extra": torch.zeros(1)}), "beyond what the model has, 1 .*extra"),
        (
            lambda weights: weights.update({"backbone.layers.1.mlp.fc1.weight": torch.zeros(9, 6)}),
            r"fc1.weight of .* has shape \(9, 6\), the model expects \(10, 6\)",
        ),
        (lambda weights: weights["backbone.ln_f.bias"].fill_(float("nan")), "ln_f.bias of .* not finite"),
        (lambda weights: weights.pop("backbone.layers.0.mixer.in_proj.weight"), "in_proj.weight is not among"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(model, tmp_path, change, words):
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    change(weights)
    with pytest.raises(ModelError, match=words):
        HyenaDNAForCausalLM.from_pretrained(saved(weights, tmp_path))


def test_frequencies_that_differ_are_refused():
    with pytest.raises(ModelError, match=r"3\.freq differs from .*1\.freq"):
        one_frequency({f"{NETWORK}.1.freq": torch.ones(1, 2), f"{NETWORK}.3.freq": torch.zeros(1, 2)})
    assert list(one_frequency({f"{NETWORK}.1.freq": torch.ones(1, 2)})) == [f"{NETWORK}.1.freq"]


class Stranger:
    """What a pickle may hold beside weights."""

    def __reduce__(self):
        return (print, ("a stranger's program ran",))


def test_pickle_that_holds_programs_is_opened_with_consent_alone(model, tmp_path, capsys):
    file = tmp_path / "weights.ckpt"
    torch.save({"state_dict": model.state_dict(), "hyper_parameters": Stranger()}, file)
    with pytest.raises(ModelError, match="trust_pickle=True"):
        read_weights(tmp_path)
    assert "ran" not in capsys.readouterr().out
    assert "backbone.ln_f.bias" in read_weights(tmp_path, trust_pickle=True)
    assert "ran" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"no weights", pickle.dumps({}, protocol=2)])
@pytest.mark.parametrize("name", ["model.safetensors", "weights.ckpt"])
def test_broken_file_is_refused_in_a_sentence(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name}|is not among the weights"):
        HyenaDNAModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("content", ["{", "[1]"])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json"])
def test_broken_description_is_refused_in_a_sentence(model, tmp_path, name, content):
    torch.save(model.state_dict(), tmp_path / "weights.ckpt")
    (tmp_path / name).write_text(content)
    with pytest.raises(ModelError, match=f"{name} (cannot be read|holds a list)"):
        HyenaDNAModel.from_pretrained(tmp_path)


def test_folder_without_weights_says_what_is_expected(tmp_path):
    with pytest.raises(ModelError, match=r"holds no weights; expected model.safetensors, weights.ckpt"):
        HyenaDNAModel.from_pretrained(tmp_path)


def test_sharded_folder_is_read_whole(model, tmp_path):
    model.save_pretrained(tmp_path, max_shard_size="5kB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    own = {name for name in model.state_dict() if not name.startswith("lm_head")}
    assert set(read_weights(tmp_path)) >= own
