"""HyenaDNA: parity with a published implementation, reload, half precision, freezing."""

import numpy as np
import pytest
import torch

from genomic_lens.errors import ConfigurationError, ModelError
from genomic_lens.model import backbone
from genomic_lens.model.hyena_dna import (
    HyenaDNAConfig,
    HyenaDNAForCausalLM,
    HyenaDNAForRegression,
    HyenaDNAForSequenceClassification,
    HyenaDNAForTokenClassification,
    HyenaDNAModel,
    freeze,
)  # fmt: skip
from genomic_lens.model.mixing.tracing import trace
from genomic_lens.model.pretrained import fingerprint

SMALL = {"d_model": 16, "sequence_length": 66, "initializer_range": 0.3}
IDS = torch.tensor([[7, 8, 9, 10, 7, 9]])
KINDS = (
    HyenaDNAModel, HyenaDNAForCausalLM, HyenaDNAForSequenceClassification, HyenaDNAForRegression,
    HyenaDNAForTokenClassification,
)  # fmt: skip


@pytest.fixture
def published(oracle, tmp_path):
    """The oracle's weights as a checkpoint of the training repository."""
    state = oracle("hyenadna_tiny.npz")
    names = {name: f"model.{name.removeprefix('state.')}" for name in state if name.startswith("state.")}
    weights = {theirs: torch.from_numpy(state[name]) for name, theirs in names.items()}
    torch.save({"state_dict": weights}, tmp_path / "weights.ckpt")
    return tmp_path


def test_published_checkpoint_gives_the_published_numbers(oracle, published):
    state, model = oracle("hyenadna_tiny.npz"), HyenaDNAModel.from_pretrained(published)
    for number in range(3):
        with torch.no_grad():
            found = model(torch.from_numpy(state[f"input_ids.{number}"])).last_hidden_state.numpy()
        np.testing.assert_allclose(found, state[f"hidden.{number}"], rtol=0, atol=1e-5)


def test_the_window_that_no_file_records_matters(oracle, published):
    ids = torch.from_numpy(oracle("hyenadna_tiny.npz")["input_ids.1"])
    with torch.no_grad():
        one, other = (
            HyenaDNAModel.from_pretrained(published, filter_shift=shift)(ids).last_hidden_state for shift in (0.05, 0.0)
        )
    assert (one - other).norm() / one.norm() > 0.005


def test_names_are_the_published_ones(oracle):
    names = {name.removeprefix("state.") for name in oracle("hyenadna_tiny.npz") if name.startswith("state.")}
    shared = {name for name in names if name.endswith((".3.freq", ".5.freq"))}  # copies of .1.freq
    config = HyenaDNAConfig(d_model=32, sequence_length=258)
    assert set(HyenaDNAModel(config).state_dict()) == names - shared


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_bit_identical_after_reload(kind, tmp_path):
    torch.manual_seed(0)
    model = kind(HyenaDNAConfig(**SMALL, num_classes=3)).eval()
    model.save_pretrained(tmp_path)
    loaded = kind.from_pretrained(tmp_path)
    assert not loaded.training
    assert fingerprint(loaded) == fingerprint(model)
    with torch.no_grad():
        assert torch.equal(loaded(IDS)[0], model(IDS)[0])


def test_public_names_of_the_configuration_are_understood():
    config = HyenaDNAConfig(n_layer=3, emb_dim=7, num_inner_mlps=1, activation_freq=5.0, layer_norm_epsilon=1e-6)
    assert (config.n_layers, config.filter_features, config.filter_depth) == (3, 7, 1)
    assert (config.filter_frequency, config.layer_norm_eps, config.mlp_width) == (5.0, 1e-6, 512)
    with pytest.raises(ConfigurationError, match="Unknown configuration name 'n_layr'"):
        HyenaDNAConfig(n_layr=3)


def test_half_precision_leaves_filters_alone_and_stays_finite(tmp_path):
    torch.manual_seed(0)
    weights = {name: value.clone() for name, value in HyenaDNAForCausalLM(HyenaDNAConfig(**SMALL)).state_dict().items()}
    torch.save(weights, tmp_path / "weights.ckpt")
    halved = HyenaDNAForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16)
    mixer = halved.backbone.layers[0].mixer
    assert (mixer.in_proj.weight.dtype, mixer.filter_fn.frequency.dtype) == (torch.bfloat16, torch.float32)
    assert torch.equal(mixer.filter_fn.bias, weights["backbone.layers.0.mixer.filter_fn.bias"])
    assert halved(IDS, labels=IDS).loss.isfinite()
    whole = HyenaDNAForCausalLM.from_pretrained(tmp_path)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert whole(IDS, labels=IDS).loss.isfinite()


def test_input_beyond_the_limit_is_refused_with_the_limit():
    with pytest.raises(ModelError, match="67 tokens, the model reads 66"):
        HyenaDNAModel(HyenaDNAConfig(**SMALL))(torch.full((1, 67), 7))


@pytest.mark.parametrize("layers", [None, 0, 1])
def test_frozen_parts_do_not_learn_and_the_others_do(layers):
    torch.manual_seed(0)
    model = freeze(HyenaDNAForSequenceClassification(HyenaDNAConfig(**SMALL, num_classes=3)), layers)
    model(IDS, labels=torch.tensor([1])).loss.backward()
    learning = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert "head.score.weight" in learning
    assert ("backbone.ln_f.weight" in learning) is (layers is not None)
    assert ("backbone.layers.0.mlp.fc1.weight" in learning) is (layers == 0)
    assert ("backbone.layers.1.mlp.fc1.weight" in learning) is (layers is not None)
    assert "backbone.embeddings.word_embeddings.weight" not in learning
    with pytest.raises(ModelError, match="3 layers are to be frozen; the model has 2"):
        freeze(model, 3)


def test_hidden_attention_of_hyenadna_rebuilds_what_its_mixers_return():
    torch.manual_seed(0)
    seen = trace(HyenaDNAForCausalLM(HyenaDNAConfig(**SMALL)).double().eval(), IDS)
    for layer in (0, 1):
        operator = seen.operator(layer)
        rebuilt = operator.matvec(seen.entered(layer)) + operator.offset
        torch.testing.assert_close(rebuilt, seen.mixed(layer), rtol=0, atol=1e-12)


FRESH = """
import sys
import torch
from genomic_lens.model import hyena_dna

torch.set_num_threads(1)
ids = torch.tensor(eval(sys.argv[1]))
for kind, folder in zip(sys.argv[2::2], sys.argv[3::2]):
    model = getattr(hyena_dna, kind).from_pretrained(folder)
    with torch.no_grad():
        out = model(ids)
    print(kind, getattr(out, "logits", out[0]).numpy().tobytes().hex())
"""


def test_reload_in_a_fresh_process_gives_the_same_bits(published, tmp_path, fresh_python):
    """From the published file, and from what is saved of it; a head that the file does not hold is new, and saved."""
    asked, expected = [], []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for kind in KINDS:
        model = kind.from_pretrained(published)
        model.save_pretrained(tmp_path / kind.__name__)
        folders = [tmp_path / kind.__name__, *([published] if kind in (HyenaDNAModel, HyenaDNAForCausalLM) else [])]
        with torch.no_grad():
            out = model(IDS)
        bits = getattr(out, "logits", out[0]).numpy().tobytes().hex()
        asked += [item for folder in folders for item in (kind.__name__, folder)]
        expected += [f"{kind.__name__} {bits}"] * len(folders)
    torch.set_num_threads(threads)
    assert fresh_python(FRESH, IDS.tolist(), *asked).splitlines() == expected


def test_a_long_pass_shows_a_bar(monkeypatch, capsys):
    bar = backbone.tqdm
    monkeypatch.setattr(backbone, "tqdm", lambda layers, **options: bar(layers, **options | {"delay": 0}))
    model = HyenaDNAModel(HyenaDNAConfig(**SMALL)).eval()
    with torch.no_grad():
        model(IDS)
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(backbone, "WORTH_A_BAR", 6)
        model(IDS)
    assert "layers:   0%" in capsys.readouterr().err
