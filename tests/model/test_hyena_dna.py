"""HyenaDNA: parity with a published implementation, reload, freezing, the zoo, and the check of a checkpoint."""

import numpy as np
import pytest
import torch

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ConfigurationError, DataError, ModelError
from genomic_lens.model.hyena_dna import (
    HyenaDNAConfig,
    HyenaDNAForCausalLM,
    HyenaDNAForRegression,
    HyenaDNAForSequenceClassification,
    HyenaDNAForTokenClassification,
    HyenaDNAModel,
    freeze,
)  # fmt: skip
from genomic_lens.model.pretrained import fingerprint
from genomic_lens.model.tracing import trace
from genomic_lens.model.verify import CheckpointReport, verify_checkpoint
from genomic_lens.model.zoo import ZOO, list_models, load, model_config

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
    assert (config.filter_frequency, config.layer_norm_eps, config.d_inner) == (5.0, 1e-6, 512)
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


# --- the zoo ----------------------------------------------------------------------------------------------------------

PARAMETERS = {  # from the shapes of the published configurations
    "hyenadna-tiny-1k": 436_096, "hyenadna-tiny-1k-d256": 1_641_088, "hyenadna-tiny-16k": 436_096,
    "hyenadna-small-32k": 3_277_568, "hyenadna-medium-160k": 6_550_528, "hyenadna-medium-450k": 6_550_528,
    "hyenadna-large-1m": 6_550_528,
}  # fmt: skip
TENSORS = {"hyenadna-tiny-1k": 450_712, "hyenadna-small-32k": 4_069_168, "hyenadna-large-1m": 54_556_768}


def test_the_seven_sizes_have_the_published_numbers_of_parameters():
    assert list_models()["parameters"].to_dict() == PARAMETERS


@pytest.mark.parametrize("name", TENSORS)
def test_a_file_holds_as_many_numbers_as_the_published_one(name):
    """Tables and the head beside the embedding included."""
    with torch.device("meta"):
        model = HyenaDNAForCausalLM(model_config(name))
    assert sum(value.numel() for value in model.state_dict().values()) == TENSORS[name]


def test_a_name_with_the_wrong_files_is_refused(tmp_path):
    HyenaDNAForCausalLM(HyenaDNAConfig(**SMALL)).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="d_model 16; hyenadna-tiny-1k has 128"):
        load("hyenadna-tiny-1k", tmp_path)


def test_a_name_with_the_right_files_is_loaded(tmp_path):
    torch.manual_seed(0)
    model = HyenaDNAForCausalLM(model_config("hyenadna-tiny-1k"))
    model.save_pretrained(tmp_path)
    assert fingerprint(load("hyenadna-tiny-1k", tmp_path)) == fingerprint(model)


def test_without_a_path_and_a_hub_the_error_says_what_to_fetch(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="fetch the files of LongSafari/hyenadna-tiny-1k-seqlen-hf"):
        load("hyenadna-tiny-1k")


def test_unknown_name_is_refused_with_the_closest():
    with pytest.raises(DataError, match="hyenadna-tiny-1k"):
        load("hyenadna-tiny-2k")
    assert len(ZOO) == 7


# --- the check of a checkpoint ----------------------------------------------------------------------------------------


DNA = "".join(np.random.default_rng(0).choice(list("ACGT"), 66))


@pytest.fixture(scope="module", params=[0.0, 0.05])
def learnt(request, tmp_path_factory):
    """A model that has learnt some DNA by heart, under one of the windows."""
    torch.manual_seed(0)
    shape = SMALL | {"filter_shift": request.param, "embed_dropout": 0.0}
    model = HyenaDNAForCausalLM(HyenaDNAConfig(**shape))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    ids = torch.from_numpy(DNATokenizer().encode(DNA))[None]
    for _ in range(300):
        optimizer.zero_grad()
        model(ids, labels=ids).loss.backward()
        optimizer.step()
    folder = tmp_path_factory.mktemp("learnt")
    model.save_pretrained(folder)
    return folder, request.param


def test_a_model_that_has_learnt_is_told_from_a_random_one_and_so_is_its_window(learnt, tmp_path):
    folder, shift = learnt
    report = verify_checkpoint(folder, DNA)
    assert report.learnt
    assert report.shift == report.model.config.filter_shift == shift
    assert report.losses[shift] < report.losses[0.05 - shift]
    assert ("training repository" if shift == 0 else "published inference") in report.verdict
    assert report.frequencies == pytest.approx(np.log(4), abs=0.1)
    HyenaDNAForCausalLM(HyenaDNAConfig(**SMALL)).save_pretrained(tmp_path)
    assert "do not know DNA" in verify_checkpoint(tmp_path, DNA).verdict


def test_the_report_lists_every_loss(learnt):
    report = verify_checkpoint(learnt[0], DNA)
    assert isinstance(report, CheckpointReport)
    assert report.to_dataframe().predictor.tolist() == [
        "filter_shift=0.05", "filter_shift=0.0", "frequencies of bases",
    ]  # fmt: skip
    with pytest.raises(DataError, match="1 bases came"):
        verify_checkpoint(learnt[0], "A")
