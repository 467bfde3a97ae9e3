"""Logos: heights by hand, two meanings kept apart, limits."""

from dataclasses import replace

import numpy as np
import pytest

from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.plots.motifs import draw_motif, information, plot_motif

from .conftest import words


def boxes(figure):
    return {
        trace.name: (np.nanmin(trace.y), np.nanmax(trace.y), round(float(np.nanmean(trace.x))))
        for trace in figure.data
        if trace.name in set("ACGT")
    }


def test_information_by_hand():
    found = information(np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4]))
    assert found.tolist() == [[2, 0, 0, 0], [0.5, 0.5, 0, 0], [0] * 4]


def test_contributions_are_the_heights_and_negative_ones_lie_below(motif):
    assert boxes(plot_motif(motif)) == {"G": (0, 2.0, -1), "A": (0, 0.5, 0), "C": (-0.3, 0, 0)}


def test_information_is_the_height_when_asked_and_the_axis_says_bits(motif):
    figure = plot_motif(motif, heights="information")
    assert boxes(figure)["G"][:2] == (0, 2.0)
    assert max(boxes(figure)[letter][1] for letter in "AC") == 1.0
    assert "bits" in figure.layout.yaxis.title.text
    assert "contribution" in plot_motif(motif).layout.yaxis.title.text


def test_logomaker_draws_the_same_heights(motif):
    patches = [patch for patch in draw_motif(motif).patches if not patch.get_hatch()]
    ends = np.array([patch.get_path().get_extents().get_points()[:, 1] for patch in patches])
    assert ends.max() == pytest.approx(2.0, abs=0.01)
    assert ends.min() == pytest.approx(-0.3, abs=0.01)


def test_a_logo_of_more_than_fifty_columns_is_refused_by_logomaker_only(motif):
    wide = replace(motif, contributions=np.ones((51, 4)), frequencies=np.full((51, 4), 0.25), consensus="N" * 51)
    with pytest.raises(DataError, match="51 columns, more than the 50"):
        draw_motif(wide)
    assert len(boxes(plot_motif(wide))) == 4
    draw_motif(replace(wide, contributions=np.ones((50, 4)), frequencies=np.full((50, 4), 0.25)))


def test_masked_columns_are_hatched_in_both_meanings(motif):
    contributions = motif.contributions.copy()
    contributions[1] = np.nan
    masked = replace(motif, contributions=contributions)
    for heights in ("contributions", "information"):
        figure = plot_motif(masked, heights)
        hatch = next(trace for trace in figure.data if trace.name == "masked")
        assert (hatch.x[0], hatch.width[0]) == (0, 1)
        assert set(boxes(figure)) == {"G"}
        assert "masked" in figure.layout.title.text
    spans = [patch for patch in draw_motif(masked).patches if patch.get_hatch()]
    assert [(span.get_x(), span.get_width()) for span in spans] == [(-0.5, 1.0)]


def test_titles_carry_how_the_motif_was_made(motif):
    for title in (plot_motif(motif).layout.title.text, words(draw_motif(motif))):
        assert all(part in title for part in ("donor", "120 sequences", "exact", "shuffled"))
    assert "shuffled" not in plot_motif(motif, "information").layout.title.text


def test_positions_are_those_of_the_motif(motif):
    assert plot_motif(motif).layout.xaxis.range == (-1.5, 1.5)
    assert draw_motif(motif).get_xlim() == (-1.5, 1.5)


def test_pointing_at_a_position_tells_each_letter(motif):
    pointer = next(trace for trace in plot_motif(motif).data if trace.name == "heights")
    assert pointer.text[1] == "A +0.5  C -0.3"


def test_other_heights_are_refused(motif):
    for function in (plot_motif, draw_motif):
        with pytest.raises(ConfigurationError, match="heights is 'bits'"):
            function(motif, heights="bits")
