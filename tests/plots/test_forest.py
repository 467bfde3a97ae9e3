"""Forests: dots, bars and words say what the record says."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from genomic_lens.errors import DataError
from genomic_lens.plots import (
    draw_chunk_statistics,
    draw_feature_enrichment,
    plot_chunk_statistics,
    plot_feature_enrichment,
    set_theme,
)
from genomic_lens.plots.style import THEMES
from genomic_lens.plots.words import describe
from genomic_lens.records import FeatureEnrichment

from .conftest import words


@pytest.fixture
def found():
    """Donors in layer 1 are drawn on twice as much; a third kind was not tested."""
    fold = np.array([1.1, 2.0, np.nan])
    low, high, q = np.array([0.9, 0.8, np.nan]), np.array([1.2, 1.3, np.nan]), np.array([0.5, 0.004, np.nan])
    return FeatureEnrichment(
        ("donor", "donor", "all"), np.array([0, 1, 1]), fold, np.ones(3), fold, low, high, fold - 1, q / 2, q,
        np.array([20, 20, 1]), np.array([40, 40, 900]), ("positions", "positions", "shifts"), "norm of columns",
        sequences=12, permutations=999,
    )  # fmt: skip


def test_rows_are_folds_nulls_and_q(found):
    band, dots = plot_feature_enrichment(found).data
    assert list(dots.y) == ["donor, layer 0", "donor, layer 1", "all, layer 1"]
    np.testing.assert_array_equal(np.array(dots.x, dtype=float), found.fold)
    np.testing.assert_allclose(np.array(band.base, dtype=float) + np.array(band.x, dtype=float), found.null_high)
    texts = [note.text for note in plot_feature_enrichment(found).layout.annotations if note.text]
    assert texts == ["1.10, q = 0.5", "2.00, q = 0.004", "not tested"]


def test_titles_say_how_it_was_tested(found):
    title = plot_feature_enrichment(found).layout.title.text
    for part in ("norm of columns", "same positions of sequences without it", "annotation moved round",
                 "999 permutations, 12 sequences", "Benjamini–Hochberg"):  # fmt: skip
        assert part in title
    assert "estimated" not in title
    estimated = plot_feature_enrichment(replace(found, error=0.042)).layout.title.text
    assert "signal of a single base: estimated, standard error 4.2 % of it" in estimated
    single = replace(found, layers=np.full(3, 2))
    assert "norm of columns, layer 2" in plot_feature_enrichment(single).layout.title.text
    assert list(plot_feature_enrichment(single).data[1].y) == ["donor", "donor", "all"]


def test_paper_shows_the_same(found):
    ax = draw_feature_enrichment(found)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["donor, layer 0", "donor, layer 1", "all, layer 1"]
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), found.fold)
    assert "q = 0.004" in words(ax)
    low, high = ax.get_xlim()
    assert low < 0.8
    assert high > 2
    assert draw_feature_enrichment(found, ax) is ax


def test_alternative_text_names_the_clearest(found):
    assert describe(found) == (
        "Of 3 tests of annotation, 1 has q < 0.05; the clearest is donor in layer 1, 2 times its background "
        "(q = 0.004)."
    )
    nothing = replace(found, q=np.full(3, np.nan))
    assert describe(nothing) == "Of 3 tests of annotation, none could be made."


def test_both_follow_the_theme(found):
    set_theme("dark")
    assert plot_feature_enrichment(found).data[1].marker.color == THEMES["dark"]["accent"]
    assert draw_feature_enrichment(found).lines[0].get_color() == THEMES["dark"]["accent"]


def test_chunk_statistics_are_drawn_the_same_way():
    rows = [("genes", 1.21, 0.93, 1.08, 0.004), ("none", np.nan, np.nan, np.nan, np.nan)]
    columns = ["lane", "ratio", "null_low", "null_high", "q"]
    table = pd.DataFrame(rows, columns=columns).assign(stage=1, shuffles=500)
    ax = draw_chunk_statistics(table)
    assert "stage 1" in words(ax)
    assert "500 times" in words(ax)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), table["ratio"])
    assert "genes: 1.21, q = 0.004; none: not tested" in plot_chunk_statistics(table).layout.meta["alt"]
    with pytest.raises(DataError, match="no row"):
        draw_chunk_statistics(table[:0])
