"""Titles hold every note, masks are spans of positions, windows stay in the sequence."""

import numpy as np
import plotly.graph_objects as go
import pytest

from genomic_lens.errors import DataError
from genomic_lens.plots.frames import (
    finish_axes,
    finish_figure,
    hatch_figure,
    masked_spans,
    note_lines,
    own_axes,
    window,
)


def test_notes_break_between_notes_only():
    lines = note_lines(["a note", "", "another note", "a third"], width=22)
    assert lines == ["a note · another note", "a third"]


def test_every_note_is_in_the_title():
    figure = finish_figure(go.Figure(), "headline", ["first", "second"], 100, "said")
    assert all(part in figure.layout.title.text for part in ("headline", "first", "second"))
    ax = finish_axes(own_axes(None, 6, 2), "headline", ["first", "second"])
    assert [text.get_text() for text in ax.texts] == ["first · second"]


def test_runs_of_masked_bases_are_spans_of_positions():
    values = np.array([np.nan, 1, np.nan, np.nan, 0, np.nan])
    assert masked_spans(values, start=100) == [(100, 101), (102, 104), (105, 106)]
    assert masked_spans(np.zeros(3)) == []


def test_hatched_bars_cover_their_spans_and_the_whole_height():
    bars = hatch_figure([(2, 5)], -1.0, 3.0)
    assert (bars.x[0] - bars.width[0] / 2, bars.x[0] + bars.width[0] / 2) == (1.5, 4.5)
    assert (bars.base, bars.base + bars.y[0]) == (-1.0, 3.0)


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 5), (0, 11), (7, 3)])
def test_windows_outside_the_sequence_are_refused(start, stop):
    with pytest.raises(DataError, match="does not lie in the 10 bases"):
        window(start, stop, 10)
