"""Bars of a step: as long as its phases, with the same numbers on screen and on paper."""

import numpy as np
import pytest

from genomic_lens.plots.step_profile import bars, draw_step_profile, plot_step_profile, profile_words
from genomic_lens.records import StepProfile

from .conftest import words


@pytest.fixture
def record():
    return StepProfile(
        ("data loading", "forward", "forward", "backward", "backward"), ("", "mixer", "rest", "mixer", "rest"),
        np.array([1, 2, 1, 5, 1]) / 1e3, 0.0125, 3, ("parameters", "gradients"), np.array([2e6, 1e6]), (4, 64), "cpu",
    )  # fmt: skip


def test_bars_of_a_phase_add_up_to_it(record):
    figure = plot_step_profile(record)
    total = sum(sum(trace.x) for trace in figure.data[:-1])
    assert total == pytest.approx(1e3 * record.seconds.sum())
    assert figure.data[-1].x.tolist() == [2.0, 1.0]
    assert [trace.name for trace in figure.data[:-1]] == ["not divided", "mixer", "rest"]


def test_paper_stands_bars_end_to_end(record):
    ax = draw_step_profile(record)
    assert max(bar.get_x() + bar.get_width() for bar in ax.patches) == pytest.approx(6)
    assert "80 % of the clock" in words(ax)
    assert bars(record)["mixer"] == (["forward", "backward"], [2.0, 5.0])


def test_words_name_what_takes_longest(record):
    assert profile_words(record).startswith("A training step takes 12.5 ms; most of it are backward of the mixer 50 %")
