"""A pretrained backbone under a new head: what is kept, what learns, and what comes back."""

from functools import partial

import numpy as np
import pytest
import torch

from genomic_lens.data.datasets import BaseLabelDataset
from genomic_lens.errors import ConfigurationError, ModelError
from genomic_lens.model import (
    HyenaDNAConfig,
    HyenaDNAForCausalLM,
    HyenaGLTForCausalLM,
    HyenaGLTForTokenClassification,
    HyenaGLTModel,
    StripedHyenaConfig,
    StripedHyenaModel,
)  # fmt: skip
from genomic_lens.training import FineTuner, HyenaGLTTrainer, model_for_task
from genomic_lens.training.fine_tuning import HEADS

from .conftest import StopAt

FAST = {"num_epochs": 2, "learning_rate": 0.02, "batch_size": 8, "logging_steps": 1}


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.fixture
def pretrained(make_config):
    torch.manual_seed(3)
    return HyenaGLTForCausalLM(make_config(dropout=0.0))


@pytest.mark.parametrize("task", HEADS)
def test_every_task_keeps_the_backbone_and_has_its_head(pretrained, make_config, task):
    if HEADS[task] == "MaskedLM":
        with pytest.raises(ModelError, match="sees only what comes before a hidden base"):
            model_for_task(pretrained, task)
        pretrained = HyenaGLTModel(make_config(two_sided=True))
    model = model_for_task(pretrained, task, num_classes=3)
    kept = pretrained.backbone.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in model.backbone.state_dict().items())
    logits = model(torch.tensor([[7, 8, 9]])).logits
    expected = {"CausalLM": (1, 3, 12), "MaskedLM": (1, 3, 12), "TokenClassification": (1, 3, 3)}
    assert tuple(logits.shape) == expected.get(HEADS[task], (1, 3))
    assert pretrained.config.num_labels != 3


def test_published_families_keep_their_own_heads(tmp_path):
    HyenaDNAForCausalLM(HyenaDNAConfig(d_model=8, sequence_length=32)).save_pretrained(tmp_path)
    assert type(model_for_task(tmp_path, label_names=["a", "b"])).__name__ == "HyenaDNAForSequenceClassification"
    striped = StripedHyenaModel(StripedHyenaConfig(d_model=16, n_layers=1, sequence_length=32))
    model = model_for_task(striped, "regression")
    assert (type(model).__name__, model.config.num_labels) == ("StripedHyenaForRegression", 1)


def test_names_are_those_of_the_data(pretrained, make_data):
    data = make_data()
    data.label_names = ("AT", "GC")
    model = FineTuner(pretrained).finetune(data, **FAST | {"num_epochs": 1})
    assert model.config.id2label == {0: "AT", 1: "GC"}
    assert not model.training


def test_a_frozen_backbone_stays_and_the_head_learns(pretrained, make_data):
    before = weights(pretrained.backbone)
    tuner = FineTuner(pretrained, freeze=True)
    model = tuner.finetune(make_data(64), num_epochs=20, learning_rate=0.1, batch_size=16, logging_steps=1)
    assert all(torch.equal(value, before[name]) for name, value in model.backbone.state_dict().items())
    assert tuner.trainer.history.loss.iloc[-4:].mean() < 0.9 * tuner.trainer.history.loss.iloc[0]
    some = FineTuner(pretrained, freeze=0).finetune(make_data(), **FAST)
    changed = [name for name, value in some.backbone.state_dict().items() if not torch.equal(value, before[name])]
    assert changed
    assert not [name for name in changed if name.startswith("embeddings")]


def test_adapters_learn_and_are_merged(pretrained, make_data):
    pytest.importorskip("peft")
    before = weights(pretrained.backbone)
    model = FineTuner(pretrained, lora=2).finetune(make_data(), **FAST)
    assert type(model).__name__ == "HyenaGLTForSequenceClassification"
    changed = {name for name, value in model.backbone.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert {name.split(".")[-2] for name in changed} <= {"in_proj", "out_proj", "fc1", "fc2"}


def test_adapters_resume_to_the_bit(pretrained, make_data, tmp_path, monkeypatch):
    pytest.importorskip("peft")
    options = FAST | {"save_steps": 2}
    straight = FineTuner(pretrained, lora=2).finetune(make_data(), output_dir=tmp_path / "straight", **options)
    with monkeypatch.context() as patch:
        stopping = partial(HyenaGLTTrainer, callbacks=[StopAt(5)])
        patch.setattr("genomic_lens.training.fine_tuning.HyenaGLTTrainer", stopping)
        with pytest.raises(KeyboardInterrupt):
            FineTuner(pretrained, lora=2).finetune(make_data(), output_dir=tmp_path / "again", **options)
    again = FineTuner(pretrained, lora=2).finetune(make_data(), output_dir=tmp_path / "again", resume=True, **options)
    for name, value in straight.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_token_tasks_are_tuned_too(pretrained):
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACGT"), 12)) for _ in range(16)]
    data = BaseLabelDataset(sequences, [np.array([base in "GC" for base in text]).astype(int) for text in sequences])
    model = FineTuner(pretrained, "token_classification", num_classes=2).finetune(data, **FAST)
    assert isinstance(model, HyenaGLTForTokenClassification)


def test_sizes_without_weights_begin_at_random_and_say_so(caplog):
    model = model_for_task("hyena-glt-tiny", num_classes=2)
    assert "No weights of hyena-glt-tiny are published" in caplog.text
    assert model.config.d_model == 128


def test_what_cannot_be_tuned_is_refused(pretrained):
    with pytest.raises(ConfigurationError, match="Task 'sorting' came"):
        FineTuner(pretrained, "sorting")
    with pytest.raises(ConfigurationError, match="freeze and lora"):
        FineTuner(pretrained, freeze=True, lora=2)
    with pytest.raises(ConfigurationError, match="1 names came for 2 classes"):
        model_for_task(pretrained, num_classes=2, label_names=["a"])
    with pytest.raises(ModelError):
        model_for_task("no-such-model")
    with pytest.raises(ConfigurationError, match="Unknown configuration name 'epochs'"):
        FineTuner(pretrained).finetune([], epochs=3)
