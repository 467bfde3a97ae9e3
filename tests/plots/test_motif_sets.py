"""Sets of motifs: cells and bars are the records' numbers, and what is told is what is seen."""

from dataclasses import replace

import numpy as np
import pytest

from genomic_lens.errors import DataError
from genomic_lens.plots import (
    draw_motif_conservation,
    draw_motif_positions,
    plot_motif_conservation,
    plot_motif_positions,
)
from genomic_lens.plots.motif_sets import conservation, position_counts
from genomic_lens.records import Motif, MotifDiscovery

from .conftest import words


def motif(name, frequencies, instances, consensus="ACGT"):
    rows, places = np.array(frequencies, dtype=float), np.array(instances).reshape(-1, 3)
    return Motif(name, tuple("ACGT"), rows, rows, consensus[: len(rows)], sequences=len(places), instances=places,
                 strengths=np.ones(len(places)), q_value=2e-6)  # fmt: skip


@pytest.fixture
def discovery():
    """One of certain columns near base 12, plus strand; one that is a coin at its end, on both strands, anywhere."""
    first = motif("motif 1", np.eye(4), [[row, 10 + row % 4, 1] for row in range(30)])
    second = motif("motif 2", [[1, 0, 0, 0], [0.5, 0, 0.5, 0]], [[row, 2 * row, (-1) ** row] for row in range(20)])
    return MotifDiscovery(
        (first, second), np.full(30, 50), seqlets=60, null_seqlets=3, false_share=0.05, method="exact",
        baseline="shuffled",
    )  # fmt: skip


NOTHING = MotifDiscovery((), np.array([60]), reason="Nothing stands out.", advice="Pass more.")


@pytest.mark.parametrize(
    "function", [plot_motif_conservation, draw_motif_conservation, plot_motif_positions, draw_motif_positions]
)
def test_nothing_found_is_refused_with_the_reason(function):
    with pytest.raises(DataError, match=r"nothing to draw\. Nothing stands out\. Pass more\."):
        function(NOTHING)


# --- conservation -----------------------------------------------------------------------------------------------------


def test_conservation_by_hand(discovery):
    bits, letters = conservation(discovery.motifs)
    np.testing.assert_allclose(bits, [[2, 2, 2, 2], [2, 1, np.nan, np.nan]])
    assert letters == [list("ACGT"), list("AC  ")]


def test_cells_are_bits_and_letters(discovery):
    heat = plot_motif_conservation(discovery).data[0]
    np.testing.assert_allclose(heat.z, conservation(discovery.motifs)[0])
    assert (heat.zmin, heat.zmax) == (0, 2)
    assert list(heat.y) == ["motif 1 (n = 30)", "motif 2 (n = 20)"]
    ax = draw_motif_conservation(discovery)
    np.testing.assert_allclose(ax.collections[0].get_array().filled(np.nan), conservation(discovery.motifs)[0])
    assert [text.get_text() for text in ax.get_yticklabels()] == list(heat.y)
    cells = {text.get_position(): text.get_text() for text in ax.texts}
    assert [cells[(column, 0)] for column in range(4)] == list("ACGT")
    assert (2, 1) not in cells


def test_the_title_tells_how_sure_and_how_made(discovery):
    live = [plot(discovery).layout.title.text for plot in (plot_motif_conservation, plot_motif_positions)]
    drawn = [words(draw_motif_conservation(discovery)), words(draw_motif_positions(discovery)[0])]
    for text in (*live, *drawn):
        for part in ("60 seqlets in 30 sequences", "5 % of them expected to be false", "q ≤ 2e-06", "exact"):
            assert part in text.replace("<br>", " ")
    unknown = replace(discovery, false_share=float("nan"))
    assert "expected to be false" not in plot_motif_conservation(unknown).layout.title.text


# --- positions --------------------------------------------------------------------------------------------------------


def test_positions_by_hand():
    """Ten bases in five bins of two: middles at bases 3 and 6 of a motif four wide, and 5 on the other strand."""
    one = motif("one", np.eye(4), [[0, 1, 1], [0, 4, 1], [1, 3, -1]])
    edges, counts, expected = position_counts(one, np.array([10, 10]), bins=5)
    assert edges.tolist() == [0, 2, 4, 6, 8, 10]
    assert counts.tolist() == [[0, 1, 0, 1, 0], [0, 0, 1, 0, 0]]
    np.testing.assert_allclose(expected, 3 * np.array([0, 2, 2, 2, 1]) / 7)  # the middle stands at bases 2 to 8


def test_short_sequences_make_late_places_rarer():
    one = motif("one", np.eye(4)[:1], [[0, 0, 1]] * 6)
    _, _, expected = position_counts(one, np.array([2, 2, 8]), bins=4)
    np.testing.assert_allclose(expected, 6 * np.array([6, 2, 2, 2]) / 12)


def test_bars_are_counts_above_and_below_the_line(discovery):
    figure = plot_motif_positions(discovery)
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert [trace.name for trace in bars] == ["strand as given", "other strand"] * 2
    for rank, one in enumerate(discovery.motifs):
        _, counts, _ = position_counts(one, discovery.lengths)
        np.testing.assert_array_equal(bars[2 * rank].y, counts[0])
        np.testing.assert_array_equal(bars[2 * rank + 1].y, -counts[1])
    assert len({trace.marker.color for trace in bars}) == 2
    assert [trace.name for trace in bars if trace.showlegend] == ["strand as given", "other strand"]


def test_every_instance_is_drawn_once(discovery):
    axes = draw_motif_positions(discovery)
    assert len(axes) == 2
    for ax, one in zip(axes, discovery.motifs, strict=True):
        filled = [patch for patch in ax.patches if patch.get_fill()]
        totals = [patch.get_data().values.sum() for patch in filled]
        assert totals == [(one.instances[:, 2] == 1).sum(), -(one.instances[:, 2] == -1).sum()]
    assert "bases" in axes[1].get_xlabel()


def test_the_sentence_tells_where_and_on_which_strand(discovery):
    told = plot_motif_positions(discovery).layout.meta["alt"]
    assert "motif 1 stands most at bases 1" in told
    assert "100 % on the strand as given" in told
    assert "50 % on the strand as given" in told
    assert "motif 1 (ACGT) has 8 bits in 30 instances" in plot_motif_conservation(discovery).layout.meta["alt"]


def test_as_many_axes_as_motifs_are_needed(discovery):
    with pytest.raises(DataError, match="1 Axes came; expected one for each of 2 motifs"):
        draw_motif_positions(discovery, [draw_motif_conservation(discovery)])
