"""A trunk is common only where it is said so, and common weights are written once."""

import pytest
import torch
from safetensors import safe_open

from genomic_lens.errors import ConfigurationError
from genomic_lens.model import HyenaGLTForCausalLM, HyenaGLTForRegression
from genomic_lens.training.multi.shared_trunk import MultiTaskModel, share_trunk, trunk_of


def test_models_share_nothing_unless_told(make_models):
    first, second = make_models()
    model = MultiTaskModel({"a": first, "b": second})
    assert not model.shares
    before = sum(parameter.numel() for parameter in model.parameters())
    share_trunk({"a": first, "b": second}, trunk_of(first))
    assert model.shares
    assert first.backbone is second.backbone
    trunk = sum(parameter.numel() for parameter in first.backbone.parameters())
    assert sum(parameter.numel() for parameter in model.parameters()) == before - trunk


def test_a_language_model_keeps_its_head_tied_to_the_common_embedding(make_models, make_config):
    first, _ = make_models()
    language = HyenaGLTForCausalLM(make_config())
    share_trunk({"class": first, "text": language}, first.backbone)
    assert language.lm_head.weight is first.backbone.embeddings["word_embeddings"].weight


def test_a_trunk_of_another_shape_is_refused(make_models, make_config):
    first, _ = make_models()
    other = HyenaGLTForRegression(make_config(d_model=16, num_classes=1))
    with pytest.raises(ConfigurationError, match="'b' has .* at .*expected models of one shape"):
        share_trunk({"a": first, "b": other}, first.backbone)
    with pytest.raises(ConfigurationError, match="expected a model or its backbone"):
        trunk_of(torch.nn.Linear(2, 2))


def test_common_weights_are_written_once_and_come_back(make_models, tmp_path):
    first, second = make_models()
    share_trunk({"a": first, "b": second}, first.backbone)
    MultiTaskModel({"a": first, "b": second}).save(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        names = list(file.keys())
    ends = [name.partition("backbone.")[2] for name in names if "backbone." in name]
    assert len(ends) == len(set(ends)) > 3
    third, fourth = make_models(start=9)
    share_trunk({"a": third, "b": fourth}, third.backbone)
    again = MultiTaskModel({"a": third, "b": fourth})
    again.load(tmp_path)
    pairs = zip(first.state_dict().values(), third.state_dict().values(), strict=True)
    assert all(torch.equal(left, right) for left, right in pairs)
    assert torch.equal(second.head.state_dict().popitem()[1], fourth.head.state_dict().popitem()[1])


def test_one_model_cannot_stand_for_two_tasks(make_models):
    first, _ = make_models()
    with pytest.raises(ConfigurationError, match="One model came for two tasks"):
        MultiTaskModel({"a": first, "b": first})
    with pytest.raises(ConfigurationError, match="No task"):
        MultiTaskModel({})

