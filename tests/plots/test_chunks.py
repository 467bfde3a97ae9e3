"""Chunks: bands, lines and ticks stand where the model cuts; windows, bins and masks are honest."""

import numpy as np
import pandas as pd
import pytest

from genomic_lens.errors import DataError
from genomic_lens.plots import draw_chunks, plot_chunk_statistics, plot_chunks, set_theme
from genomic_lens.plots.chunks import bands, frame_of, in_bins, lane_trace, stage_traces
from genomic_lens.plots.style import THEMES
from genomic_lens.records import ChunkMap

from .conftest import words

LANES = {"exon": [(0, 6)], "repeat": [(4, 8), (10, 12)]}


@pytest.fixture
def chunks():
    """Two stages over twelve bases; the last two are masked."""
    start = np.array([[1, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]], dtype=bool)
    probability = np.where(start, 0.9, 0.1)
    index = start.cumsum(1) - 1
    probability[:, 10:], index[:, 10:] = np.nan, -1
    return ChunkMap("ACGTACGTACNN", probability, start, np.where(start, 0.9, 0.8), index, (0.25, 0.5), "routing")


@pytest.fixture
def long():
    """A boundary at every fourth base of 10,000, at every second in the last quarter; 500 are masked."""
    places = np.arange(10_000)
    start = (np.where(places < 7500, places % 4, places % 2) == 0)[None]
    index = start.cumsum(1) - 1
    index[0, 1000:1500], start[0, 1000:1500] = -1, False
    return ChunkMap("A" * 10_000, start * 0.9, start, start * 0.9, index, how="merging")


def traces(figure, stage=0):
    axis = "y" if stage == 0 else f"y{stage + 1}"
    return {trace.name: trace for trace in figure.data if (trace.yaxis or "y") == axis}


def test_bands_ticks_and_line_stand_where_chunks_begin(chunks):
    figure = plot_chunks(chunks)
    for stage in (0, 1):
        found, begins = traces(figure, stage), np.flatnonzero(chunks.start[stage])
        band = found["chunks"]
        np.testing.assert_allclose(np.array(band.x) - np.array(band.width) / 2, begins - 0.5)
        np.testing.assert_allclose(np.array(band.x) + np.array(band.width) / 2, [*begins[1:] - 0.5, 9.5])
        np.testing.assert_array_equal(found["starts"].x, begins - 0.5)
        np.testing.assert_array_equal(found["starts"].customdata[:, 0], begins)
        line = found["boundaries"]
        np.testing.assert_array_equal(line.x[:-1], np.arange(12) - 0.5)
        np.testing.assert_array_equal(line.y[:-1], chunks.probability[stage])
        assert list(line.customdata[:3]) == [0, 1, 2]


def test_neighbouring_bands_differ_in_colour(chunks):
    shades = traces(plot_chunks(chunks))["chunks"].marker.color
    assert all(one != two for one, two in zip(shades[:-1], shades[1:], strict=True))


def test_masked_bases_are_hatched(chunks, long):
    for record, expected in ((chunks, (9.5, 11.5)), (long, (999.5, 1499.5))):
        hatched = traces(plot_chunks(record))["masked"]
        ends = hatched.x[0] - hatched.width[0] / 2, hatched.x[0] + hatched.width[0] / 2
        assert ends == expected
    assert "hatched: 2 masked" in plot_chunks(chunks).layout.title.text
    assert any(patch.get_hatch() for patch in draw_chunks(chunks)[0].patches)


def test_the_headline_says_bases_per_chunk_against_the_target(chunks, long):
    title = "Chunks by routing: 2.5 bases per chunk (target 4.0), then 5.0 (target 8.0)"
    assert title in plot_chunks(chunks).layout.title.text
    assert title in words(draw_chunks(chunks)[0])
    assert "target" not in plot_chunks(long).layout.title.text


def test_a_window_cuts_bands_and_tells_where_chunks_really_end(chunks):
    assert bands(chunks, 0, 3, 6).tolist() == [[3, 5, 2, 5, 1], [5, 6, 5, 7, 2]]
    figure = plot_chunks(chunks, LANES, 3, 6)
    assert figure.layout.xaxis.range == (2.5, 5.5)
    band = traces(figure)["chunks"]
    assert band.customdata.tolist() == [[2, 4, 3], [5, 6, 2]]
    np.testing.assert_array_equal(figure.data[-1].z, [[1, 1, 1], [0, 1, 1]])
    with pytest.raises(DataError, match="does not lie in the 12 bases"):
        plot_chunks(chunks, start=6, stop=13)


def test_lanes_are_drawn_below_in_their_order(chunks):
    figure = plot_chunks(chunks, LANES)
    lanes = figure.data[-1]
    assert list(lanes.y) == ["exon", "repeat"]
    np.testing.assert_array_equal(lanes.z[1], [0] * 4 + [1] * 4 + [0] * 2 + [1] * 2)
    assert lanes.x[0] == -0.5
    drawn = draw_chunks(chunks, LANES)[-1]
    assert [label.get_text() for label in drawn.get_yticklabels()] == ["exon", "repeat"]
    with pytest.raises(DataError, match="expected one bool a base"):
        plot_chunks(chunks, {"wrong": [(0, 13)]})


def test_many_bases_are_counted_in_bins_per_100_bases(long):
    figure = plot_chunks(long, {"end": [(7550, 10_000)]})
    found = traces(figure)
    assert len(found["chunks"].x) == len(found["starts"].x) == 0
    counts = np.array(found["boundaries"].y)[:-1]
    assert len(counts) == 100
    np.testing.assert_allclose(counts[:10], 25)
    assert np.isnan(counts[10:15]).all()
    np.testing.assert_allclose(counts[75:], 50)
    np.testing.assert_allclose(figure.data[-1].z[0][74:77], [0, 0.5, 1])
    assert "in each bin of 100 bases, per 100 bases" in figure.layout.title.text
    assert draw_chunks(long)[0].get_ylabel() == "stage 0\nper 100"


def test_bins_leave_out_what_is_not_known():
    known = np.array([True, False, True, True, False])
    found = in_bins(np.array([[1.0, 5.0, 0.0, 1.0, 9.0]]), known, 2)
    np.testing.assert_array_equal(found, [[1.0, 0.5, np.nan]])


def test_little_is_sent_of_a_long_sequence():
    start = (np.arange(1_000_000) % 3 == 0)[None]
    record = ChunkMap("A" * 1_000_000, start * np.float32(0.9), start, start * np.float32(0.9), start.cumsum(1) - 1)
    for stop in (2000, 2001, 1_000_000):
        sent = [*stage_traces(record, 0, 0, stop), lane_trace(record, {"lane": start[0]}, 0, stop)]
        numbers = sum(np.asarray(trace.get(name, ())).size for trace in sent for name in ("x", "y", "z", "customdata"))
        assert numbers < 20_000


@pytest.mark.parametrize("stop", [12, 5])
def test_a_window_updates_a_figure_to_the_one_that_would_be_made_for_it(chunks, stop):
    made = plot_chunks(chunks, LANES, 1, stop)
    moved = plot_chunks(chunks, LANES, 0, 12)
    fresh = [*stage_traces(chunks, 0, 1, stop), *stage_traces(chunks, 1, 1, stop), lane_trace(chunks, LANES, 1, stop)]
    for old, new in zip(moved.data, fresh, strict=True):
        old.update({name: value for name, value in new.items() if name != "type"}, overwrite=True)
    moved.update_layout(frame_of(chunks, 1, stop))
    for one, two in zip(moved.data, made.data, strict=True):
        now, expected = one.to_plotly_json(), two.to_plotly_json()
        for name in ("x", "y", "z", "width", "customdata"):
            np.testing.assert_array_equal(now.get(name), expected.get(name))
    assert moved.layout.xaxis.range == made.layout.xaxis.range


def test_both_figures_follow_the_theme(chunks):
    set_theme("dark")
    figure = plot_chunks(chunks, LANES)
    assert traces(figure)["boundaries"].line.color == THEMES["dark"]["series"][0]
    assert figure.data[-1].colorscale[0][1] == THEMES["dark"]["background"]
    assert draw_chunks(chunks)[0].lines[0].get_color() == THEMES["dark"]["series"][0]


def test_the_alternative_text_says_what_is_seen(chunks):
    alt = plot_chunks(chunks).layout.meta["alt"]
    assert alt == (
        "Bases 0–11: at stage 0, 4 chunks begin; the longest has 3 bases and begins at base 2. "
        "At stage 1, 2 chunks begin; the longest has 5 bases and begins at base 0."
    )


def test_axes_of_the_wrong_number_are_refused(chunks):
    axes = draw_chunks(chunks)
    assert (draw_chunks(chunks, axes=axes) == axes).all()
    with pytest.raises(DataError, match="1 Axes came; expected one for each of 2 stages and one for the lanes"):
        draw_chunks(chunks, LANES, axes=axes[:1])


@pytest.fixture
def table():
    rows = [("genes", 1.21, 0.93, 1.08, 0.004), ("none", np.nan, np.nan, np.nan, np.nan)]
    return pd.DataFrame(rows, columns=["lane", "ratio", "null_low", "null_high", "q"]).assign(stage=1, shuffles=500)


def test_statistics_show_ratio_null_and_q(table):
    figure = plot_chunk_statistics(table)
    band, found = figure.data
    assert (band.base[0], band.base[0] + band.x[0]) == pytest.approx((0.93, 1.08))
    assert (found.x[0], found.y[0]) == (1.21, "genes")
    assert [item.text for item in figure.layout.annotations if item.text] == ["1.21, q = 0.004", "not tested"]
    assert "500 times" in figure.layout.title.text
    assert "stage 1" in figure.layout.title.text
    with pytest.raises(DataError, match="no row"):
        plot_chunk_statistics(table[:0])
