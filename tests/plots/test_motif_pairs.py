"""Pairs: a motif below its match as they were laid, and company told by colour, words and a star."""

import numpy as np
import pandas as pd
import pytest

from genomic_lens.errors import DataError
from genomic_lens.plots import (
    draw_motif_cooccurrence,
    draw_motif_match,
    plot_motif_cooccurrence,
    plot_motif_match,
)
from genomic_lens.plots.motif_pairs import as_laid, pair_matrix
from genomic_lens.records import MotifMatches

from .conftest import words

OWN, TARGET = np.eye(4)[[0, 1, 2]], np.eye(4)[[3, 0, 1, 2, 3]]


@pytest.fixture
def matches():
    """ACG in TACGT, one column in; and the same laid turned, one column after."""
    two = np.array([3, 3])
    return MotifMatches(
        ("motif 1", "motif 1"), ("MA1 A", "MA2 B"), np.array([1e-9, 1e-3]), np.array([2e-6, 0.1]), np.array([-1, 1]),
        np.array([3, 2]), np.array([1, -1]), two, np.array([5, 5]), np.vstack([OWN, OWN]), np.vstack([TARGET, TARGET]),
        "JASPAR", 1019,
    )  # fmt: skip


@pytest.fixture
def table():
    return pd.DataFrame(
        [("a", "b", 31, 20.4, 1.9, 0.002), ("a", "c", 4, 15.2, -2.7, 0.06)],
        columns=["first", "second", "both", "expected", "log2_odds", "q_value"],
    )


def letters(figure):
    """Columns at which each letter stands, in each of the two rows of the figure."""
    found = {"x": {}, "x2": {}}
    for trace in figure.data:
        if trace.name in set("ACGT"):
            found[trace.xaxis][trace.name] = sorted({round(float(x)) for x in trace.x if x is not None and x == x})
    return found


# --- a match ----------------------------------------------------------------------------------------------------------


def test_columns_lie_as_tomtom_laid_them(matches):
    target, own = as_laid(matches, 0)
    assert (target.start, own.start) == (-1, 0)
    assert (target.name, own.name) == ("MA1 A", "motif 1")
    assert as_laid(matches, 1)[0].name == "MA2 B, reverse complement"
    for row in (-1, 2):
        with pytest.raises(DataError, match=f"Match {row} was asked for; there are 2"):
            as_laid(matches, row)


def test_the_same_letters_stand_above_each_other(matches):
    figure = plot_motif_match(matches)
    above, below = letters(figure).values()
    assert {letter: [round(x) for x in places] for letter, places in below.items()} == {"A": [0], "C": [1], "G": [2]}
    assert set(above) == set("ACGT")
    assert all(set(below[letter]) <= set(above[letter]) for letter in below)
    assert figure.layout.xaxis.range == figure.layout.xaxis2.range == (-1.5, 3.5)


def test_the_match_is_told_with_its_q_value(matches):
    figure, axes = plot_motif_match(matches), draw_motif_match(matches)
    told = words(axes[0])
    for text in (figure.layout.title.text.replace("<br>", " "), told):
        assert "q = 2e-06 among 1,019 motifs of JASPAR" in text
        assert "3 columns lie on each other" in text
    assert figure.layout.meta["alt"] == "Motif motif 1 beside MA1 A (q = 2e-06): 3 columns lie on each other."
    assert [ax.get_title(loc="left") for ax in axes] == ["MA1 A", "motif 1"]
    assert axes[0].get_xlim() == axes[1].get_xlim() == (-1.5, 3.5)
    assert {ax.get_ylim()[1] for ax in axes} == {2.05}


# --- company ----------------------------------------------------------------------------------------------------------


def test_the_matrix_by_hand(table):
    names, odds, cells = pair_matrix(table)
    assert names == ["a", "b", "c"]
    np.testing.assert_allclose(odds, [[np.nan, 1.9, -2.7], [1.9, np.nan, np.nan], [-2.7, np.nan, np.nan]])
    assert cells[0] == ["", "31 / 20 *", "4 / 15"]
    assert cells[1][0] == cells[0][1]


def test_colours_are_symmetric_around_independence(table):
    heat = plot_motif_cooccurrence(table).data[0]
    assert heat.zmin == -heat.zmax == -2.7
    mesh = draw_motif_cooccurrence(table).collections[0]
    assert mesh.get_clim() == (-2.7, 2.7)
    np.testing.assert_allclose(mesh.get_array().filled(np.nan), pair_matrix(table)[1])
    weak = plot_motif_cooccurrence(table.assign(log2_odds=0.1)).data[0]
    assert (weak.zmin, weak.zmax) == (-1, 1), "a small ratio is pale"


def test_only_sure_pairs_are_told(table):
    told = plot_motif_cooccurrence(table).layout.meta["alt"]
    assert told == "Of 2 pairs of motifs, 1 with q ≤ 0.05: a and b share 31 sequences where 20 are expected."
    assert plot_motif_cooccurrence(table[1:]).layout.meta["alt"] == "Of 1 pair of motifs, 0 with q ≤ 0.05."
    cells = [text.get_text() for text in draw_motif_cooccurrence(table).texts]
    assert cells.count("31 / 20 *") == 2
    assert "Fisher" in words(draw_motif_cooccurrence(table))


def test_no_pairs_are_refused(table):
    for function in (plot_motif_cooccurrence, draw_motif_cooccurrence):
        with pytest.raises(DataError, match="at least two motifs"):
            function(table[:0])
