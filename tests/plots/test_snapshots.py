"""Figures of snapshots: a frame a step, the same colours at every step, numbers of the step that is shown."""

import numpy as np
import pytest

from genomic_lens.errors import DataError
from genomic_lens.plots.snapshots import colour_end, draw_snapshots, plot_snapshots, row_shares, snapshot_words
from genomic_lens.records import AttentionHistory, FilterHistory

STEPS = np.array([0, 10, 30])


def filters(layers=2):
    random = np.random.default_rng(0)
    numbers = np.arange(3.0)[:, None] + np.arange(layers)
    return FilterHistory(
        STEPS, np.arange(layers), np.array([2, 5]), np.arange(6), random.normal(size=(3, layers, 2, 6)).astype("f2"),
        np.stack([numbers, numbers + 1, numbers + 2], -1), numbers, ("a", "b", "c"),
    )  # fmt: skip


def maps(layers=2):
    numbers = np.arange(3.0)[:, None] + np.arange(layers)
    weights = np.ones((3, layers, 4, 4), np.float32) * np.arange(1, 5)
    weights[..., 3, :] = np.nan
    return AttentionHistory(
        STEPS, np.arange(layers), ("norm",) * layers, weights, numbers, numbers, numbers, np.full((3, layers), 0.5),
        "ACGTACGT", 4, ("a", "b", "c"),
    )  # fmt: skip


@pytest.mark.parametrize(("record", "count"), [(filters(), 2 * 2 + 2 * 3), (maps(), 2 + 2 * 3)])
def test_each_step_has_its_frame_and_the_figure_opens_at_the_last(record, count):
    figure = plot_snapshots(record)
    assert len(figure.data) == count
    assert [frame.name for frame in figure.frames] == ["0", "10", "30"]
    assert figure.layout.sliders[0].active == 2
    assert all(len(frame.data) == len(frame.traces) for frame in figure.frames)
    for trace, place in zip(figure.frames[2].data, figure.frames[2].traces, strict=True):
        shown = figure.data[place]
        for name in ("x", "y", "z"):
            if name in trace:
                assert np.array_equal(trace[name], shown[name], equal_nan=True)
    rings = [trace for trace in figure.frames[1].data if trace.type == "scatter" and trace.mode == "markers"]
    assert rings[0].x.tolist() == [10, 10]


def test_rows_are_shares_and_masked_ones_stay_masked():
    shares = row_shares(maps().weights)
    assert np.allclose(shares[..., :3, :].sum(-1), 1)
    assert np.isnan(shares[..., 3, :]).all()
    assert colour_end(shares) <= 0.4


def test_at_most_four_layers_are_drawn_evenly_spread():
    titles = [note.text for note in plot_snapshots(filters(9)).layout.annotations]
    assert titles == ["layer 0", "layer 3", "layer 5", "layer 8"]
    assert [note.text for note in plot_snapshots(filters(9), layers=[7]).layout.annotations] == ["layer 7"]
    with pytest.raises(DataError, match="one to 4 of 0, 1"):
        plot_snapshots(filters(), layers=[2])


@pytest.mark.parametrize("record", [filters(), maps()])
def test_paper_shows_first_middle_and_last(record):
    titles = [ax.get_title(loc="left") for ax in draw_snapshots(record).axes]
    assert titles == [f"layer {layer}, step {step}" for layer in (0, 1) for step in (0, 10, 30)]


def test_one_snapshot_is_enough():
    one = FilterHistory(
        np.array([5]), np.array([0]), np.array([1]), np.arange(3), np.zeros((1, 1, 1, 3), "f2"), np.ones((1, 1, 3)),
        np.array([[np.nan]]), ("a",),
    )  # fmt: skip
    assert len(plot_snapshots(one).frames) == 1
    assert len(draw_snapshots(one).axes) == 1


def test_words_say_how_far_the_numbers_moved():
    assert "layer 1 from 1 to 3" in snapshot_words(maps())
