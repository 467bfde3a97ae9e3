"""Folders, fingerprints, starting weights, and errors that name what is wrong."""

import errno
import json
import os
import signal

import pytest
import torch
import transformers.modeling_utils

from genomic_lens.errors import DataError, GenomicLensError, ModelError
from genomic_lens.model.hyena_glt import HyenaGLTForRegression, HyenaGLTForSequenceClassification, HyenaGLTModel
from genomic_lens.model.pretrained import check_folder, check_labels, fingerprint


@pytest.fixture
def folder(build_model, tmp_path):
    build_model().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# --- loading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "message"),
    [(["config.json"], "lacks config.json;"), (["model.safetensors"], "lacks model.safetensors;"),
     (["config.json", "model.safetensors"], "lacks config.json and model.safetensors")],
)  # fmt: skip
def test_folder_that_is_no_checkpoint_is_refused_with_what_it_lacks(folder, missing, message):
    for name in missing:
        (folder / name).unlink()
    with pytest.raises(ModelError, match=message):
        HyenaGLTForSequenceClassification.from_pretrained(folder)


def test_pickled_weights_are_not_read(folder, build_model):
    (folder / "model.safetensors").unlink()
    torch.save(build_model().state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="lacks model.safetensors"):
        HyenaGLTForSequenceClassification.from_pretrained(folder)


@pytest.mark.parametrize("name", ["/no/such/folder", "./here", "one", "one/two/three", "../up"])
def test_path_that_does_not_exist_is_not_asked_for_at_a_hub(name):
    with pytest.raises(ModelError, match="does not exist; pass a folder"):
        HyenaGLTModel.from_pretrained(name)


def test_name_of_a_hub_passes_and_is_a_model_error_where_it_cannot_be_had():
    check_folder("an-organisation/a-model")
    with pytest.raises(ModelError, match="an-organisation/a-model cannot be loaded as HyenaGLTModel"):
        HyenaGLTModel.from_pretrained("an-organisation/a-model", local_files_only=True)


def test_weights_of_another_width_are_refused_with_a_name_and_both_shapes(folder):
    edit_config(folder, d_model=8)
    with pytest.raises(ModelError, match=r"has shape \(.*16.*\), its configuration expects \(.*8.*\)") as caught:
        HyenaGLTForSequenceClassification.from_pretrained(folder)
    weights = HyenaGLTForSequenceClassification(HyenaGLTModel.config_class.from_pretrained(folder)).state_dict()
    assert any(name in str(caught.value) for name in weights)
    assert "\n" not in str(caught.value)


def test_head_for_other_classes_is_made_anew_when_asked(folder):
    """What fine-tuning does; the backbone must come from the folder all the same."""
    pretrained = HyenaGLTForSequenceClassification.from_pretrained(folder)
    model = HyenaGLTForSequenceClassification.from_pretrained(folder, num_labels=5, ignore_mismatched_sizes=True)
    assert fingerprint(model.backbone) == fingerprint(pretrained.backbone)
    assert model.head.score.weight.shape == (5, 16)
    assert model.head.score.weight.std().item() == pytest.approx(0.3, rel=0.3)


def test_loading_info_is_given_when_asked(folder):
    model, found = HyenaGLTForRegression.from_pretrained(folder, output_loading_info=True)
    assert isinstance(model, HyenaGLTForRegression)
    assert not found["missing_keys"]


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.99])
def test_truncated_weights_are_a_model_error(folder, kept):
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ModelError, match="cannot be loaded"):
        HyenaGLTForSequenceClassification.from_pretrained(folder)


def test_broken_configuration_is_a_model_error(folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match="not a valid JSON"):
        HyenaGLTForSequenceClassification.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"d_modle": 8}, "'d_modle'; did you mean 'd_model'"), ({"hyena_order": 1}, "hyena_order is 1")],
)
def test_edited_configuration_is_refused_in_its_own_words(folder, change, message):
    edit_config(folder, **change)
    with pytest.raises(GenomicLensError, match=message):
        HyenaGLTForSequenceClassification.from_pretrained(folder)


# --- saving -----------------------------------------------------------------------------------------------------------


def test_full_disk_is_a_model_error(build_model, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(transformers.modeling_utils, "safe_save_file", full)
    with pytest.raises(ModelError, match="cannot be saved .*No space left on device"):
        build_model().save_pretrained(tmp_path / "model")
    with pytest.raises(ModelError):
        HyenaGLTForSequenceClassification.from_pretrained(tmp_path / "model")


def test_disk_that_refuses_the_last_bytes_is_a_model_error(build_model, tmp_path):
    """The operating system itself refuses, so the error is the one that safetensors makes of it."""
    resource = pytest.importorskip("resource")
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        with pytest.raises(ModelError, match="cannot be saved .*File too large"):
            build_model().save_pretrained(tmp_path / "model")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    with pytest.raises(ModelError):
        HyenaGLTForSequenceClassification.from_pretrained(tmp_path / "model")


def test_saving_onto_a_file_is_a_model_error(build_model, tmp_path):
    (tmp_path / "model").write_text("a note")
    with pytest.raises(ModelError, match="is a file"):
        build_model().save_pretrained(tmp_path / "model")
    assert (tmp_path / "model").read_text() == "a note"


# --- fingerprint ------------------------------------------------------------------------------------------------------


def test_fingerprint_survives_the_folder_and_the_mode(folder, build_model):
    model = build_model()
    first = fingerprint(model)
    assert len(first) == 12
    assert fingerprint(model.train()) == first
    assert fingerprint(HyenaGLTForSequenceClassification.from_pretrained(folder)) == first


def test_fingerprint_changes_with_the_last_bit_of_one_weight(build_model):
    model = build_model()
    first = fingerprint(model)
    with torch.no_grad():
        weight = model.backbone.layers[1].mlp.fc2.bias
        weight[3] = torch.nextafter(weight[3], torch.tensor(torch.inf))
    assert fingerprint(model) != first


def test_fingerprint_tells_which_weight_holds_the_value():
    one, other = torch.nn.Module(), torch.nn.Module()
    one.register_buffer("left", torch.ones(2))
    other.register_buffer("right", torch.ones(2))
    assert fingerprint(one) != fingerprint(other)


def test_fingerprint_reads_every_type_of_weight():
    module = torch.nn.Module()
    for name, value in {"a": torch.tensor(1.0).bfloat16(), "b": torch.tensor([True]), "c": torch.arange(3)}.items():
        module.register_buffer(name, value)
    first = fingerprint(module)
    module.b[0] = False
    assert fingerprint(module) != first


# --- starting weights -------------------------------------------------------------------------------------------------


def test_starting_weights_have_the_spread_that_the_text_promises(build_model):
    torch.manual_seed(0)
    config = HyenaGLTModel.config_class(
        vocab_size=12, d_model=64, n_layers=3, sequence_length=32, initializer_range=0.1, filter_frequency=7.0
    )
    layer = HyenaGLTModel(config).backbone.layers[2]
    spread = {
        "in_proj": (layer.mixer.in_proj, 0.1), "fc1": (layer.mlp.fc1, 0.1),
        "out_proj": (layer.mixer.out_proj, 0.1 / 6**0.5), "fc2": (layer.mlp.fc2, 0.1 / 6**0.5),
    }  # fmt: skip
    for name, (linear, deviation) in spread.items():
        assert linear.weight.std().item() == pytest.approx(deviation, rel=0.05), name
        assert not linear.bias.any()
    filters = layer.mixer.filter_fn
    for linear in filters.linears:
        bound = linear.in_features**-0.5
        assert linear.weight.abs().max() <= bound
        assert linear.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
    assert (filters.frequency == 7.0).all()
    assert filters.bias.std().item() == pytest.approx(1.0, rel=0.3)
    assert filters(32)[:, 1:].abs().mean() > 0.01, "filters must not start silent"
    assert (layer.norm1.weight == 1).all()
    assert not layer.norm1.bias.any()


def test_seed_decides_the_starting_weights(build_model):
    config = build_model().config
    prints = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        prints.append(fingerprint(HyenaGLTModel(config)))
    assert prints[0] == prints[1] != prints[2]


# --- inputs -----------------------------------------------------------------------------------------------------------


def test_sequence_beyond_the_limit_is_refused_with_both_lengths(build_model):
    model = build_model()
    assert model(torch.full((1, 64), 7)).logits.isfinite().all()
    for inputs in ({"input_ids": torch.full((1, 65), 7)}, {"inputs_embeds": torch.zeros(1, 65, 16)}):
        with pytest.raises(ModelError, match="65 tokens, the model reads 64"):
            model(**inputs)


@pytest.mark.parametrize("label", [-1, 3, 99])
def test_label_out_of_range_is_refused(build_model, label):
    with pytest.raises(DataError, match=f"Label {label} came; expected 0 to 2, or -100"):
        build_model()(torch.full((2, 5), 7), labels=torch.tensor([0, label]))
    check_labels(torch.tensor([0, 2, -100]), 3)


@pytest.fixture
def model(build_model):
    return build_model()


def test_a_missing_layer_is_refused_and_a_missing_head_is_not(model, tmp_path):
    """A deeper configuration would leave a layer random; a classifier on a bare backbone has a new head by intent."""
    model.save_pretrained(tmp_path / "deeper")
    edit_config(tmp_path / "deeper", n_layers=model.config.n_layers + 1)
    with pytest.raises(ModelError, match=r"lacks \d+ weights of the backbone, the first is backbone\.layers\.2\."):
        HyenaGLTForSequenceClassification.from_pretrained(tmp_path / "deeper")
    model.save_pretrained(tmp_path / "whole")
    HyenaGLTModel.from_pretrained(tmp_path / "whole").save_pretrained(tmp_path / "backbone")
    loaded = HyenaGLTForSequenceClassification.from_pretrained(tmp_path / "backbone")
    torch.testing.assert_close(loaded.backbone.state_dict(), model.backbone.state_dict(), rtol=0, atol=0)


def test_surplus_layers_and_values_that_are_no_numbers_are_refused_by_name(model, tmp_path):
    model.save_pretrained(tmp_path / "shallower")
    edit_config(tmp_path / "shallower", n_layers=model.config.n_layers - 1)
    last = model.config.n_layers - 1
    says = rf"has beyond its configuration \d+ weights of the backbone, the first is backbone\.layers\.{last}\."
    with pytest.raises(ModelError, match=says):
        HyenaGLTForSequenceClassification.from_pretrained(tmp_path / "shallower")
    model.backbone.layers[1].mlp.fc1.bias.data[3] = float("nan")
    model.save_pretrained(tmp_path / "broken")
    with pytest.raises(ModelError, match=r"backbone\.layers\.1\.mlp\.fc1\.bias of .* not finite"):
        HyenaGLTForSequenceClassification.from_pretrained(tmp_path / "broken")


def test_filters_stay_in_single_precision_when_a_model_is_loaded_in_half(model, tmp_path):
    """Half-precision weights would draw other filters; everything around them may be halved."""
    model.save_pretrained(tmp_path)
    halved = HyenaGLTForSequenceClassification.from_pretrained(tmp_path, dtype=torch.bfloat16).eval()
    assert halved.backbone.embeddings["word_embeddings"].weight.dtype == torch.bfloat16
    first, second = (net.backbone.layers[0].mixer.filter_fn(16) for net in (model, halved))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert halved(torch.tensor([[7, 8, 9, 10]])).logits.isfinite().all()


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (torch.tensor([7, 8]), r"shape \(2,\) came; expected \(batch, length\)"),
        (torch.tensor([[7, 99]]), r"Ids from 7 to 99 came; this model knows 0 to"),
        (torch.zeros(1, 0, dtype=torch.long), "at least one token"),
    ],
)
def test_ids_that_cannot_be_are_refused(model, ids, message):
    with pytest.raises(ModelError, match=message):
        model(ids)


def test_modes_change_wherever_a_module_is_in_the_other_one(build_model):
    model = build_model(HyenaGLTForSequenceClassification).eval()
    model.backbone.layers[0].dropout1.train()  # one deep inside
    assert not any(module.training for module in model.eval().modules())
    assert all(module.training for module in model.train().modules())
    model.backbone.ln_f.eval()
    assert all(module.training for module in model.train().modules())


def test_modules_that_are_in_the_mode_are_left_alone(build_model, monkeypatch):
    model, asked = build_model(HyenaGLTForSequenceClassification), []
    monkeypatch.setattr(model.backbone.ln_f, "train", asked.append)
    model.eval()
    assert asked == []
    model.train()
    assert asked == [True]


def test_weights_of_positions_start_as_a_mean_on_a_loaded_backbone(build_model, tmp_path):
    build_model(HyenaGLTModel).save_pretrained(tmp_path)
    model = HyenaGLTForSequenceClassification.from_pretrained(tmp_path, pooling="position", num_labels=2)
    assert torch.equal(model.head.positions.weight, torch.zeros_like(model.head.positions.weight))
