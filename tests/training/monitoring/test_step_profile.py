"""A profile adds up, finds what was made slow, weighs what can be counted by hand, and leaves the training alone."""

from time import sleep

import numpy as np
import pytest
import torch

from genomic_lens.errors import ConfigurationError, TrainingError
from genomic_lens.model import HyenaGLTForSequenceClassification
from genomic_lens.records import StepProfile
from genomic_lens.training import FineTuner, HyenaGLTTrainer
from genomic_lens.training.monitoring.step_profile import parts, profile_step

from ..conftest import build_config, build_data, build_trainer


@pytest.fixture(scope="module")
def profile():
    return profile_step(build_trainer(n_layers=2, dropout=0.0))


def test_shares_add_up_and_the_phases_cover_the_step(profile):
    assert profile.to_dataframe()["share"].sum() == pytest.approx(1)
    assert 0.8 < profile.covered <= 1
    assert (profile.seconds >= 0).all()
    assert set(zip(profile.phases, profile.kinds, strict=True)) >= {
        ("forward", "mixer"), ("backward", "mixer"), ("forward", "MLP"), ("backward", "head"), ("optimiser", ""),
    }  # fmt: skip


def test_bytes_are_those_of_the_tensors(profile):
    model = HyenaGLTForSequenceClassification(build_config(n_layers=2))
    count = sum(part.numel() for part in model.parameters())
    memory = dict(zip(profile.memory_names, profile.memory.tolist(), strict=True))
    assert memory["parameters"] == memory["gradients"] == 4 * count
    steps = sum(1 for _ in model.parameters())
    assert memory["optimiser"] == 8 * count + 4 * steps
    assert memory["kept by mixer"] > memory["kept by head"] > 0


@pytest.mark.parametrize(("part", "path"), [("MLP", "mlp"), ("mixer", "mixer"), ("head", "head")])
def test_a_part_that_is_slow_is_found(part, path):
    trainer = build_trainer()
    slow = next(module for name, module in trainer.model.named_modules() if name.rpartition(".")[2] == path)
    forward = slow.forward
    slow.forward = lambda *inputs, **named: (sleep(0.05), forward(*inputs, **named))[1]
    table = profile_step(trainer, steps=1).to_dataframe().set_index(["phase", "part"])["share"]
    assert table.idxmax() == ("forward", part)


def test_slow_data_are_found():
    trainer = build_trainer()
    collate = trainer.hf.data_collator
    trainer.hf.data_collator = lambda examples: (sleep(0.1), collate(examples))[1]
    table = profile_step(trainer, steps=1).to_dataframe()
    assert table.loc[table["share"].idxmax(), "phase"] == "data loading"


def test_the_training_is_as_it_was(tmp_path):
    plain = build_trainer(tmp_path / "plain")
    plain.train()
    trainer = build_trainer(tmp_path / "profiled")
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    torch.manual_seed(3)
    expected, state = torch.rand(2), np.random.get_state()[1].copy()  # noqa: NPY002
    torch.manual_seed(3)
    profile_step(trainer, steps=1)
    assert torch.equal(torch.rand(2), expected)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert all(torch.equal(value, before[name]) for name, value in trainer.model.state_dict().items())
    assert all(part.grad is None for part in trainer.model.parameters())
    assert not any(module._forward_hooks for module in trainer.model.modules())
    trainer.train()
    assert all(torch.equal(a, b) for a, b in zip(plain.model.parameters(), trainer.model.parameters(), strict=True))
    profile_step(trainer, steps=1)


def test_checkpointing_and_adapters_are_profiled_too():
    trainer = build_trainer(n_layers=2)
    trainer.model.gradient_checkpointing_enable()
    assert profile_step(trainer, steps=1).to_dataframe()["share"].sum() == pytest.approx(1)
    tuner = FineTuner(HyenaGLTForSequenceClassification(build_config()), lora=2)
    tuner.finetune(build_data(8), num_epochs=1)
    found = set(parts(tuner.trainer.model).values())
    assert found == {"mixer", "MLP", "embedding", "head"}


def test_a_profile_survives_its_file(profile, tmp_path):
    again = StepProfile.load(profile.save(tmp_path / "profile.npz"))
    assert again.to_dataframe().equals(profile.to_dataframe())


def test_what_cannot_be_profiled_is_refused_in_a_sentence():
    with pytest.raises(ConfigurationError, match="steps=0"):
        profile_step(build_trainer(), steps=0)
    config = build_config()
    with pytest.raises(TrainingError, match="no train_dataset"):
        profile_step(HyenaGLTTrainer(HyenaGLTForSequenceClassification(config), config))
