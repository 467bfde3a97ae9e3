"""Bars lie over their bases and are as high as effects; lines of two motifs are means over backgrounds."""

from dataclasses import replace

import numpy as np
import pytest

from genomic_lens.plots import draw_regions, draw_spacing, plot_regions, plot_spacing
from genomic_lens.plots.words import describe
from genomic_lens.records import MotifEffect, MotifSpacing, RegionEffects

from .conftest import words


@pytest.fixture
def regions():
    spans = np.array([[0, 4], [4, 10], [10, 12]])
    return RegionEffects(
        "ACGTACGTACNN", spans, np.array([0.5, -1.5, np.nan]), np.array([0.1, 0.25, np.nan]), "donor", 2.0, "ablation",
        "bases of the region in random order", 20, 3,
    )  # fmt: skip


@pytest.fixture
def apart():
    """Distances out of order; together 3 more than the sum of each alone within ten bases."""
    before, shift = np.zeros(4), np.array([-0.5, 0.5, -0.5, 0.5])
    alone = np.stack([np.full((3, 4), 1.0), np.full((3, 4), 0.5)])
    together = np.array([1.5, 4.5, 4.5])[:, None] + shift
    places = np.array([[0, 34], [0, 4], [0, 14]])
    return MotifSpacing(
        ("GATA", "TGAC"), np.array([30, 0, 10]), places, before, alone, together, "bound", "4 sequences given", 7
    )


def test_bars_lie_over_their_bases(regions):
    bars = plot_regions(regions).data[0]
    assert bars.x.tolist() == [1.5, 6.5, 10.5]
    assert bars.width.tolist() == [4, 6, 2]
    assert bars.customdata.tolist() == [[0, 3], [4, 9], [10, 11]]
    np.testing.assert_array_equal(bars.y, regions.effects)
    np.testing.assert_array_equal(bars.error_y.array, regions.spread)
    drawn = [(patch.get_x(), patch.get_width(), patch.get_height()) for patch in draw_regions(regions).patches]
    assert drawn == [(-0.5, 4, 0.5), (3.5, 6, -1.5)], "a masked region has no bar"


def test_whiskers_are_of_draws_alone(regions):
    still = replace(regions, how="occlusion", baseline="the token N", draws=1, spread=np.zeros(3))
    assert not plot_regions(still).data[0].error_y.visible
    assert len(draw_regions(regions).containers) == len(draw_regions(still).containers) + 1
    assert "draws" not in words(draw_regions(still))


def test_titles_and_text_of_regions(regions):
    for title in (plot_regions(regions).layout.title.text, words(draw_regions(regions))):
        for part in ("What regions add to donor", "output 2", "shuffled: bases of the region", "20 draws, seed 3"):
            assert part in title
        assert "masked regions left out: 1" in title
    assert describe(regions) == ("Effects of 3 regions on donor, shuffled: bases 4–9 matter most, -1.5 ± 0.25.")
    assert plot_regions(regions).layout.meta["alt"] == describe(regions)
    assert describe(replace(regions, effects=np.full(3, np.nan))).endswith("all are masked.")


def test_a_motif_in_words():
    record = MotifEffect("GATA", 1200, np.array([0.0, 1.0]), np.array([1.0, 4.0]), "bound", "2 sequences given")
    assert describe(record) == "GATA, put at base 1,200 of 2 sequences given, changes bound by +2 ± 1."


def test_lines_over_distance_are_means_in_order_with_their_spread(apart):
    found = {trace.name: trace for trace in plot_spacing(apart).data}
    assert found["both"].x.tolist() == [0, 10, 30]
    np.testing.assert_allclose(found["both"].y, [4.5, 4.5, 1.5])
    np.testing.assert_allclose(found["sum of each alone"].y, [1.5] * 3)
    np.testing.assert_allclose(found["both"].customdata, [0.5] * 3)
    band = found["both, band"]
    np.testing.assert_allclose(band.y, [5, 5, 2, 1, 4, 4])
    assert band.x.tolist() == [0, 10, 30, 30, 10, 0]
    drawn = {line.get_label(): line.get_xydata().tolist() for line in draw_spacing(apart).lines}
    assert drawn["both"] == [[0, 4.5], [10, 4.5], [30, 1.5]]


def test_titles_and_text_of_two_motifs(apart):
    for title in (plot_spacing(apart).layout.title.text, words(draw_spacing(apart))):
        for part in ("GATA and TGAC", "put into 4 sequences given", "over 4 backgrounds, seed 7"):
            assert part in title
    assert describe(apart) == (
        "GATA and TGAC at 3 distances: together they do most beyond the sum of each alone 0 bases apart, +3 in bound."
    )
    assert plot_spacing(apart).layout.meta["alt"] == describe(apart)
