"""Curves of a run: only what was logged, in the units that are written, with few points and all extremes."""

import numpy as np
import pytest

from genomic_lens.errors import DataError
from genomic_lens.plots.run_curves import curves_of, draw_run, plot_run, run_words, thinned
from genomic_lens.records import TrainingRun


@pytest.fixture
def run():
    columns = ("loss", "eval_loss", "eval_mcc", "learning_rate_0", "learning_rate_1", "resident_bytes")
    values = np.array([[0.9, np.nan, np.nan, 1e-3, 2e-3, 5e6], [0.5, 0.6, 0.3, 5e-4, 1e-3, 6e6]])
    return TrainingRun(np.array([10, 20]), columns, values, "open", 40, 2.0, ("decayed", "filters"))


def test_only_what_was_logged_is_drawn(run):
    assert list(curves_of(run, "loss")) == ["training", "validation"]
    assert curves_of(run, "loss")["validation"][0].tolist() == [20]
    assert list(curves_of(run, "learning rate")) == ["decayed", "filters"]
    assert curves_of(run, "memory")["process"][1].tolist() == [5.0, 6.0]
    assert curves_of(run, "gradients") == {}
    assert [trace.name for trace in plot_run(run).data] == [
        "training", "validation", "mcc", "decayed", "filters", "process",
    ]  # fmt: skip
    assert len(draw_run(run).axes) == 4


@pytest.mark.parametrize("count", [3, 2000, 2001, 54_321])
def test_extremes_and_ends_stay(count):
    values = np.random.default_rng(0).normal(size=count)
    steps, kept = thinned(np.arange(count), values)
    assert len(steps) <= 2000
    assert (steps[0], steps[-1]) == (0, count - 1)
    assert (kept.min(), kept.max()) == (values.min(), values.max())
    assert (np.diff(steps) > 0).all()


def test_words_and_what_has_nothing_to_show(run):
    assert run_words(run) == "Open at step 20 of 40: training loss 0.5, validation loss 0.6."
    with pytest.raises(DataError, match="logged nothing yet"):
        plot_run(TrainingRun(np.array([], int), (), np.zeros((0, 0)), "open"))
