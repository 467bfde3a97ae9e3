"""A run that goes through stages: shapes switch where the plan says, and a resumed run is the same run."""

import pytest
import torch
from transformers import TrainerCallback

from genomic_lens.curriculum import Stage
from genomic_lens.errors import ConfigurationError
from genomic_lens.training import CurriculumLearner

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
