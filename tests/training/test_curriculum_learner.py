"""A run that goes through stages: shapes switch where the plan says, and a resumed run is the same run."""

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from genomic_lens.curriculum import Stage
from genomic_lens.data.datasets import GenomicDataset
from genomic_lens.errors import ConfigurationError, TrainingError
from genomic_lens.model import HyenaGLTForCausalLM, HyenaGLTForMaskedLM, HyenaGLTForSequenceClassification
from genomic_lens.training import CurriculumLearner
from genomic_lens.training.current_loss import own_loss

STAGES = [{"max_length": 6, "batch_size": 8}, {"max_length": 12, "batch_size": 4}, {"max_length": 16, "batch_size": 4}]
# 24 examples: 3 steps, then 6, then 6


class Watch(TrainerCallback):
    """Keeps the rate of every step."""

    def __init__(self):
        self.rates = []

    def on_step_end(self, args, state, control, optimizer=None, **kwargs):
        self.rates.append(optimizer.param_groups[0]["lr"])


def shapes_of(trainer):
    """Sequences and tokens of every batch that the model is given while it trains."""
    shapes, forward = [], trainer.model.forward

    def watching(*arguments, **inputs):
        if trainer.model.training:
            shapes.append(tuple(inputs["input_ids"].shape))
        return forward(*arguments, **inputs)

    trainer.model.forward = watching
    return shapes


def test_one_run_goes_through_all_stages_with_one_schedule(make_trainer):
    watch = Watch()
    trainer = make_trainer(curriculum=CurriculumLearner(STAGES), callbacks=[watch])
    shapes = shapes_of(trainer)
    trainer.train()
    assert [rows for rows, _ in shapes] == [8] * 3 + [4] * 12
    limits = [6] * 3 + [12] * 6 + [16] * 6
    assert all(tokens <= limit for (_, tokens), limit in zip(shapes, limits, strict=True))
    assert max(tokens for _, tokens in shapes[3:9]) > 6
    top = watch.rates.index(max(watch.rates))
    assert watch.rates == sorted(watch.rates[:top]) + sorted(watch.rates[top:], reverse=True)
    assert watch.rates[-1] == 0
    assert trainer.hf.state.global_step == 15


@pytest.mark.parametrize("measure", [None, "gc"])
@pytest.mark.parametrize("step", [2, 5])
def test_a_run_resumed_within_a_stage_ends_with_the_very_weights(
    make_trainer, interrupted_trainer, tmp_path, step, measure
):
    options = {"curriculum": CurriculumLearner(STAGES, measure, start=0.3), "save_steps": 1}
    straight = make_trainer(tmp_path / "straight", **options)
    straight.train()
    resumed = interrupted_trainer(tmp_path / "resumed", step, **options)
    shapes = shapes_of(resumed)
    resumed.train(resume=True)
    assert len(shapes) == 15 - (step - 1)  # the last whole checkpoint is of the step before
    for name, weight in straight.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name


def test_hard_examples_wait(make_trainer):
    trainer = make_trainer(curriculum=CurriculumLearner([Stage(16, 2, 4)], "length", start=0.2))
    shapes = shapes_of(trainer)
    lengths = sorted(len(sequence) for sequence in trainer.hf.train_dataset.sequences)
    trainer.train()
    assert shapes[0][1] <= lengths[round(0.2 * 24) - 1]
    assert max(tokens for _, tokens in shapes[-4:]) > lengths[12]


def test_what_cannot_be_learnt_in_stages_is_refused():
    for options in ({"stages": []}, {"stages": [{"epochs": 3}]}, {"stages": STAGES, "pace": "fast"}):
        with pytest.raises(ConfigurationError):
            CurriculumLearner(**options)


def test_a_measure_of_sequences_needs_sequences_that_stay():
    class Drawn(list):
        """Windows that are drawn anew have no sequences of their own."""

    with pytest.raises(ConfigurationError, match="no fixed sequences; pass measure=None"):
        CurriculumLearner(STAGES, "gc").sampler(Drawn([0, 1]), batch_size=2)
    assert len(CurriculumLearner(STAGES).sampler(Drawn([0, 1]), batch_size=2)) == 3


# --- the current loss -----------------------------------------------------------------------------------------------


def half_noise(kind):
    """Two halves: what a rule explains, and what nothing does; with the numbers of the latter."""
    generator = np.random.default_rng(5)
    if kind is HyenaGLTForCausalLM:
        words = [("AC" * 8, "GT" * 8)[number % 2] for number in range(40)]
        words += ["".join(generator.choice(list("ACGT"), 16)) for _ in range(40)]
        return GenomicDataset(words), np.arange(40, 80)
    words = ["".join(generator.choice(list(("AATC", "GGCA")[number % 2]), 16)) for number in range(80)]
    labels = np.arange(80) % 2
    drawn = np.arange(80) >= 40
    labels[drawn] = generator.integers(0, 2, 40)  # half of them right by chance, and no noise to anybody
    return GenomicDataset(words, labels), np.flatnonzero(labels != np.arange(80) % 2)


@pytest.mark.parametrize("kind", [HyenaGLTForSequenceClassification, HyenaGLTForCausalLM])
def test_noise_comes_last(make_trainer, kind):
    """What cannot be learnt keeps its loss, so the model's own loss puts it at the end of the order."""
    data, noise = half_noise(kind)
    learner = CurriculumLearner([Stage(16, 12, 8)], "loss", start=0.3)
    trainer = make_trainer(curriculum=learner, kind=kind, data=data, dropout=0.0)
    trainer.train()
    refreshed = trainer.hf.refreshed
    assert refreshed.measured == 108
    assert set(refreshed.order[-len(noise) :].tolist()) == set(noise.tolist())
    sampler = learner.sampler(data, 8, losses=lambda step, length: refreshed.values)
    early = [index for step in range(12, 24) for index, _ in sampler.batch(step)]
    assert not np.isin(early, noise).any()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kind": HyenaGLTForCausalLM},
        {"kind": HyenaGLTForMaskedLM, "two_sided": True},
        {"accumulation_steps": 2},
        {"precision": "bf16"},
        {"values": True, "num_classes": 1},
    ],
)
@pytest.mark.parametrize("step", [4, 8])
def test_a_run_by_loss_resumed_within_a_stage_ends_with_the_very_weights(
    make_trainer, interrupted_trainer, tmp_path, options, step
):
    """The order after steps 3 and 7 comes from the checkpoint, not from its weights."""
    stages = [Stage(8, 1, 4), Stage(16, 2, 4)] if "accumulation_steps" not in options else [Stage(8, 4, 4)]
    options = {"curriculum": CurriculumLearner(stages, "loss", start=0.3, refresh=0.3), "save_steps": 1, **options}
    straight = make_trainer(tmp_path / "straight", **options)
    straight.train()
    resumed = interrupted_trainer(tmp_path / "resumed", step, **options)
    resumed.train(resume=True)
    for name, weight in straight.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name
    assert np.array_equal(straight.hf.refreshed.values, resumed.hf.refreshed.values)


def test_losses_of_examples_are_those_of_batches_of_one(make_trainer, make_data):
    """Measured in batches, with padding, while dropout is on in training; and the model is left as it was."""
    trainer = make_trainer(curriculum=CurriculumLearner([Stage(16, 1, 8)], "loss"), dropout=0.5)
    trainer.hf.model_wrapped.train()
    found = trainer.hf.current_losses(0, 12)
    assert trainer.model.training
    model = trainer.model.eval()
    for index, example in enumerate(make_data()):
        ids = torch.from_numpy(example["input_ids"])[None, :12]
        with torch.no_grad():
            alone = model(input_ids=ids, labels=torch.tensor([int(example["labels"])])).loss
        assert found[index] == pytest.approx(alone.item(), abs=1e-6)


def test_a_checkpoint_without_the_losses_is_refused(interrupted_trainer, tmp_path):
    options = {"curriculum": CurriculumLearner([Stage(16, 2, 4)], "loss"), "save_steps": 1}
    resumed = interrupted_trainer(tmp_path, 4, **options)
    for path in tmp_path.glob("checkpoint-*/curriculum.npz"):
        path.unlink()
    with pytest.raises(TrainingError, match="checkpoint-3 cannot be read"):
        resumed.train(resume=True)


def test_a_loss_that_cannot_be_measured_is_refused(make_trainer):
    learner = CurriculumLearner([Stage(16, 1, 8)], "loss")
    with pytest.raises(ConfigurationError, match="pass the curriculum to a trainer"):
        learner.sampler(GenomicDataset(["ACGT"]), batch_size=1)
    with pytest.raises(ConfigurationError, match="Linear, which has no loss"):
        own_loss(torch.nn.Linear(1, 1))
    with pytest.raises(ConfigurationError, match="refresh=0, warm_up=0.1 came"):
        CurriculumLearner(STAGES, "loss", refresh=0)
    trainer = make_trainer(curriculum=CurriculumLearner([Stage(16, 1, 8)], "loss", warm_up=0.0))
    with torch.no_grad():
        next(trainer.model.head.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match="The loss of the examples is nan at step 1"):
        trainer.train()
