"""Published models by name: their sizes, and what happens without their files."""

import pytest
import torch

from genomic_lens.errors import DataError, ModelError
from genomic_lens.model.hyena_dna import HyenaDNAConfig, HyenaDNAForCausalLM
from genomic_lens.model.pretrained import fingerprint
from genomic_lens.model.zoo import ZOO, list_models, load, model_config

SMALL = {"d_model": 16, "sequence_length": 66}
PARAMETERS = {  # from the shapes of the published configurations
    "hyenadna-tiny-1k": 436_096, "hyenadna-tiny-1k-d256": 1_641_088, "hyenadna-tiny-16k": 436_096,
    "hyenadna-small-32k": 3_277_568, "hyenadna-medium-160k": 6_550_528, "hyenadna-medium-450k": 6_550_528,
    "hyenadna-large-1m": 6_550_528,
}  # fmt: skip
TENSORS = {"hyenadna-tiny-1k": 450_712, "hyenadna-small-32k": 4_069_168, "hyenadna-large-1m": 54_556_768}


def test_the_seven_sizes_have_the_published_numbers_of_parameters():
    models = list_models()
    assert models.loc[list(PARAMETERS), "parameters"].to_dict() == PARAMETERS
    assert set(models.index) - set(PARAMETERS) == {"hyena-glt-tiny", "hyena-glt-small", "hyena-glt-base"}


def test_sizes_without_published_weights_are_shapes_to_train():
    config = model_config("hyena-glt-tiny", num_classes=3)
    assert (config.d_model, config.chunks_by, config.num_labels) == (128, "merging", 3)
    with pytest.raises(ModelError, match=r"No weights of hyena-glt-base are published; train"):
        load("hyena-glt-base")


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


def test_a_path_that_is_not_there_is_no_question_to_the_hub(monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", None)
    with pytest.raises(ModelError, match=r"downloads/tiny does not exist; fetch the files of LongSafari/hyenadna-tiny"):
        load("hyenadna-tiny-1k", "downloads/tiny")


def test_unknown_name_is_refused_with_the_closest():
    with pytest.raises(DataError, match="hyenadna-tiny-1k"):
        load("hyenadna-tiny-2k")
    assert len(ZOO) == 7
