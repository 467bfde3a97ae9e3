"""Maps of pairs: rows are changed and columns looked at, few strong pairs survive binning, signs keep their scale."""

from dataclasses import replace

import numpy as np
import pytest

from genomic_lens.plots import draw_dependencies, plot_dependencies
from genomic_lens.plots.dependencies import MOST_CELLS, MOST_LETTERS, strongest
from genomic_lens.plots.words import describe
from genomic_lens.records import DependencyMap

from .conftest import words


@pytest.fixture
def odds():
    """Bases 5–9 of 12: a change of base 6 matters most for base 8; base 7 is masked."""
    matrix = np.full((4, 4), 0.1)
    matrix[1, 3], matrix[0, 1] = 2.5, 1.5
    np.fill_diagonal(matrix, np.nan)
    matrix[2] = matrix[:, 2] = np.nan
    return DependencyMap("ACGTACGNTACG", (5, 9), matrix, "log-odds", "base", "each variant as a whole")


@pytest.fixture
def excess(odds):
    matrix = np.where(np.eye(4, dtype=bool), np.nan, 0.2)
    matrix[0, 3] = matrix[3, 0] = -1.5
    return replace(odds, matrix=matrix, kind="epistasis", target="bound")


def test_rows_are_what_is_changed_and_positions_are_those_of_the_sequence(odds):
    figure = plot_dependencies(odds)
    np.testing.assert_array_equal(figure.data[0].z, odds.matrix)
    assert figure.data[0].x.tolist() == figure.data[0].y.tolist() == [4.5, 5.5, 6.5, 7.5, 8.5]
    assert figure.data[0].customdata[1][3].tolist() == ["G", "T"]
    assert figure.layout.yaxis.range == (8.5, 4.5), "the first row on top"
    assert (figure.layout.yaxis.title.text, figure.layout.xaxis.title.text) == ("changed (bases)", "looked at (bases)")
    ax = draw_dependencies(odds)
    assert (ax.get_xlim(), ax.get_ylim()) == ((4.5, 8.5), (8.5, 4.5))
    np.testing.assert_array_equal(ax.collections[-1].get_array().filled(np.nan), odds.matrix)


def test_magnitudes_begin_at_zero_and_signed_values_are_symmetric(odds, excess):
    for record, ends, colours in ((odds, (0, 2.5), "viridis"), (excess, (-1.5, 1.5), "RdBu_r")):
        heat = plot_dependencies(record).data[0]
        assert (heat.zmin, heat.zmax) == ends
        mesh = draw_dependencies(record).collections[-1]
        assert (mesh.get_clim(), mesh.get_cmap().name) == (ends, colours)
    assert plot_dependencies(odds).data[0].colorbar.title.text == "bits"
    assert plot_dependencies(excess).data[0].colorbar.title.text == "beyond the sum"


def test_titles_and_text_name_the_strongest_pair(odds, excess):
    assert describe(odds) == (
        "Change of log odds by substitutions, bases 5–8: changing G at 6 matters most for T at 8, by 2.5 bits."
    )
    assert describe(excess).endswith("C at 5 and T at 8 depend most on each other, -1.5.")
    assert plot_dependencies(odds).layout.meta["alt"] == describe(odds)
    assert describe(replace(odds, matrix=np.full((4, 4), np.nan))).endswith("all pairs are masked.")
    for record, part in ((odds, "largest over substitutions and letters"), (excess, "less both single ones")):
        for title in (plot_dependencies(record).layout.title.text, words(draw_dependencies(record))):
            assert part in title
            assert "each variant as a whole" in title
    assert "hatched: masked, or nothing is said" in words(draw_dependencies(odds))


def test_the_diagonal_is_not_the_strongest_pair(odds):
    with_itself = replace(odds, matrix=np.where(np.eye(4, dtype=bool), 9.0, odds.matrix))
    assert "changing G at 6 matters most for T at 8" in describe(with_itself)


@pytest.mark.parametrize("length", [257, 600])
def test_binning_keeps_the_strongest_pair_with_its_sign(length):
    matrix = np.random.default_rng(0).normal(size=(length, length))
    matrix[100, 201], matrix[3] = -50, np.nan
    cells, edges = strongest(matrix)
    assert len(cells) <= MOST_CELLS
    assert (edges[0], edges[-1]) == (0, length)
    for row in (0, 1, len(cells) // 2, len(cells) - 1):
        for column in (0, len(cells) // 3, len(cells) - 1):
            block = matrix[edges[row] : edges[row + 1], edges[column] : edges[column + 1]]
            assert cells[row, column] == block.ravel()[np.nanargmax(np.abs(block))]
    assert cells[np.searchsorted(edges, 100, "right") - 1, np.searchsorted(edges, 201, "right") - 1] == -50
    record = DependencyMap("A" * length, (0, length), matrix, "epistasis", "bound")
    size = -(-length // MOST_CELLS)
    assert f"each cell the strongest of {size} × {size} pairs" in plot_dependencies(record).layout.title.text


def test_a_map_that_fits_is_not_binned():
    matrix = np.random.default_rng(0).normal(size=(MOST_CELLS, MOST_CELLS))
    np.testing.assert_array_equal(strongest(matrix)[0], matrix)


def test_short_sequences_are_written_along_two_sides(odds):
    written = [text.get_text() for text in draw_dependencies(odds).texts if text.get_text() in set("ACGTN")]
    assert written == [letter for letter in "CGNT" for _ in range(2)]
    size = MOST_LETTERS + 1
    long = DependencyMap("A" * size, (0, size), np.ones((size, size)), "log-odds")
    assert not [text for text in draw_dependencies(long).texts if text.get_text() == "A"]
