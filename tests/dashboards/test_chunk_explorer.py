"""The explorer without a browser: its widgets are moved as a hand would move them, and their state is read."""

import numpy as np
import pytest

from genomic_lens.dashboards import ChunkExplorer, chunk_explorer
from genomic_lens.dashboards.assets import widget_script
from genomic_lens.dashboards.chunk_explorer import statistics_table
from genomic_lens.interpretability import chunk_map, chunk_statistics
from genomic_lens.plots.chunks import plot_chunks

from .conftest import SEQUENCE

ROUTED = {"n_layers": 5, "chunking": "routing", "target_ratios": (0.3, 0.5)}
LONG = "".join(np.random.default_rng(2).choice(list("ACGT"), 3000))
LANES = {"first half": [(0, 1500)], "thirds": np.arange(3000) % 3 == 0}


@pytest.fixture
def routed(build):
    return build(**ROUTED, sequence_length=4096, d_model=4)


@pytest.fixture
def explorer(routed, tokenizer):
    return ChunkExplorer(routed, tokenizer, LONG, LANES)


def drawn(figure):
    """What a figure shows, without how it looks."""
    names = ("x", "y", "z", "width", "customdata", "hovertemplate", "fill")
    return [{name: np.asarray(trace.to_plotly_json().get(name)) for name in names} for trace in figure.data]


def assert_shows(explorer, start, stop):
    """The live figure is the one that would be made for this window."""
    expected = plot_chunks(explorer.record, LANES, start, stop)
    for one, two in zip(drawn(explorer.chunks.figure), drawn(expected), strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], two[name])
    assert explorer.chunks.figure.layout.xaxis.range == expected.layout.xaxis.range
    assert explorer.chunks.figure.layout.yaxis.range == expected.layout.yaxis.range
    assert f"Bases {start:,}–{stop - 1:,}:" in explorer.chunks.foot.value


def test_it_shows_what_the_functions_say(explorer, routed, tokenizer):
    record = chunk_map(routed, tokenizer, LONG)
    np.testing.assert_array_equal(explorer.record.index, record.index)
    assert_shows(explorer, 0, 240)
    assert f"{record.compression[0]:.1f} bases per chunk (target 3.3)" in explorer.chunks.head.value
    table = chunk_statistics(record, LANES)
    assert explorer.statistics.table.value == statistics_table(table)


def test_the_figure_is_moved_in_place_and_never_made_anew(explorer, monkeypatch):
    figure, traces = explorer.chunks.figure, list(explorer.chunks.figure.data)
    monkeypatch.setattr(chunk_explorer, "plot_chunks", None)
    explorer.chunks.first.value = 700
    assert_shows(explorer, 700, 940)
    explorer.chunks.width.value = 2800
    assert_shows(explorer, *explorer.chunks.window)
    assert "per 100 bases" in explorer.chunks.head.value
    explorer.chunks.width.value = 50
    assert_shows(explorer, *explorer.chunks.window)
    assert explorer.chunks.figure is figure
    assert all(one is two for one, two in zip(figure.data, traces, strict=True))


def test_the_window_stays_within_the_sequence_and_keeps_its_middle(explorer):
    view = explorer.chunks
    view.first.value = 1000
    view.width.value = 440
    assert view.window == (900, 1340)
    view.first.value = 5000
    assert view.window == (2560, 3000)
    view.width.value = 10_000
    assert view.window == (0, 3000)
    view.width.value = 1
    assert view.width.value == 20
    assert 0 <= view.window[0] < view.window[1] <= 3000
    assert_shows(explorer, *view.window)


def test_the_table_follows_the_stage_and_says_how_far_to_trust_it(explorer):
    foot, record = explorer.statistics.foot, explorer.record
    assert f"target 0.30, found {record.shares[0]:.2f}" in foot.value
    assert "1,000 times, which keeps their spacing" in foot.value
    assert "over 2 lanes" in foot.value
    before = explorer.statistics.table.value
    explorer.statistics.stage.value = 1
    assert f"Share of the chunks of stage 0 that begin a chunk: target 0.50, found {record.shares[1]:.2f}" in foot.value
    assert explorer.statistics.table.value == statistics_table(chunk_statistics(record, LANES, stage=1)) != before


def test_each_stage_is_computed_once(explorer, monkeypatch):
    asked = []

    def counted(*arguments):
        asked.append(arguments[2])
        return chunk_statistics(*arguments)

    monkeypatch.setattr(chunk_explorer, "chunk_statistics", counted)
    for stage in (1, 0, 1, 0):
        explorer.statistics.stage.value = stage
    assert asked == [1]


def test_without_lanes_there_are_chunks_and_targets_but_no_table(routed, tokenizer):
    explorer = ChunkExplorer(routed, tokenizer, SEQUENCE)
    assert len(explorer.chunks.figure.data) == 8
    assert explorer.statistics.table.value == "No annotation was given."
    assert "target 0.30" in explorer.statistics.foot.value
    assert "Null" not in explorer.statistics.foot.value
    explorer.chunks.first.value = 5
    assert explorer.chunks.window == (0, 40)


@pytest.mark.parametrize(
    ("changes", "sequence", "lanes", "message"),
    [
        ({}, SEQUENCE, None, "cuts no chunks"),
        (ROUTED, "", None, "The sequence is empty"),
        (ROUTED, "ACGTJ", None, "J"),
        (ROUTED, SEQUENCE, {"<genes>": [(0, 41)]}, "Lane &#x27;&lt;genes&gt;&#x27;: A lane"),
    ],
)
def test_errors_of_ours_are_shown_in_the_panel(build, tokenizer, changes, sequence, lanes, message):
    explorer = ChunkExplorer(build(**changes), tokenizer, sequence, lanes)
    (panel,) = explorer.children[2:]
    assert message in panel.children[1].value
    assert len(panel.children) == 2


@pytest.mark.parametrize("sequence", ["A", "N" * 30, SEQUENCE[:5]])
def test_tiny_and_masked_sequences_are_shown(build, tokenizer, sequence):
    explorer = ChunkExplorer(build(**ROUTED), tokenizer, sequence, {"start": [(0, 1)]})
    assert explorer.chunks.window == (0, len(sequence))
    if len(sequence) == 1 or "N" in sequence:
        assert "expected at least 1 of at least 2 bases" in explorer.statistics.foot.value


def test_sequences_that_are_read_in_windows_are_said_to_be(build, tokenizer):
    explorer = ChunkExplorer(build(**ROUTED), tokenizer, SEQUENCE * 2)
    assert explorer.chunks.window == (0, 80)
    assert "Read in windows of 64 bases" in explorer.children[1].value
    assert "windows" not in ChunkExplorer(build(**ROUTED), tokenizer, SEQUENCE).children[1].value


def test_the_style_comes_along_without_a_viewer(explorer):
    assert ".gl-dashboard" in explorer.children[0]._css
    assert "hosted(el" in widget_script("host")
    assert "gl-dashboard" in explorer._dom_classes
