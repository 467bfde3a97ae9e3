"""Cells of edits: each is where and what the record says, and what is masked or stands there already is marked."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from genomic_lens.errors import DataError
from genomic_lens.plots import draw_mutagenesis, plot_mutagenesis, set_theme
from genomic_lens.plots.mutations import MOST
from genomic_lens.plots.style import THEMES
from genomic_lens.plots.words import describe
from genomic_lens.records import Mutagenesis

from .conftest import words


@pytest.fixture
def donor():
    """Bases 10–16 of 20; the G at 12 must not be touched, the N at 15 is masked."""
    substitutions = np.zeros((6, 4))
    substitutions[2, [0, 1, 3]] = -2.0, -1.5, -1.0
    substitutions[5] = np.nan
    insertions, deletions = np.full((6, 4), 0.1), np.array([0, 0, -1.2, 0, 0.3, np.nan])
    insertions[3, 1] = -0.7
    return Mutagenesis(
        "ACGTACGTACCAGTANACGT", (10, 16), tuple("ACGT"), "donor", 3.1, substitutions, insertions, deletions,
        "each variant as a whole",
    )  # fmt: skip


def traces(figure):
    return {trace.name: trace for trace in figure.data}


def test_cells_of_the_screen_are_the_changes(donor):
    found = traces(plot_mutagenesis(donor))
    np.testing.assert_array_equal(found["substitutions"].z, donor.substitutions.T)
    np.testing.assert_array_equal(found["insertions"].z, donor.insertions.T)
    np.testing.assert_array_equal(found["deletions"].z, donor.deletions[None])
    assert found["substitutions"].x.tolist() == list(range(10, 16))
    assert found["insertions"].x.tolist() == [place - 0.5 for place in range(10, 16)], "between two bases"
    assert found["insertions"].text[1][3] == "inserting C before T at 13"


def test_lanes_lie_one_below_the_other_with_their_names(donor):
    figure = plot_mutagenesis(donor)
    axis = figure.layout.yaxis2
    assert axis.ticktext == ("→A", "→C", "→G", "→T", "+A", "+C", "+G", "+T", "cut out")
    assert (np.diff(axis.tickvals) > 0).all()
    assert axis.range[0] > axis.range[1], "the first lane on top"
    drawn = np.concatenate([traces(figure)[kind].y for kind in donor.kinds])
    np.testing.assert_array_equal(axis.tickvals, drawn)


def test_one_scale_for_all_cells_symmetric_around_zero(donor):
    scale = plot_mutagenesis(donor).layout.coloraxis
    assert (scale.cmin, scale.cmax) == (-2, 2)
    meshes = [mesh for mesh in draw_mutagenesis(donor)[1].collections if mesh.get_array() is not None]
    assert [mesh.get_clim() for mesh in meshes] == [(-2, 2)] * 3


def test_letters_are_as_high_as_the_mean_loss(donor):
    drawn = {trace.name: np.nanmax(trace.y) for trace in plot_mutagenesis(donor).data if trace.name in set("ACGT")}
    assert drawn == {"G": pytest.approx(1.5)}


def test_a_dot_marks_the_letter_that_stands_there(donor):
    dots = traces(plot_mutagenesis(donor))["as it is"]
    assert list(zip(dots.x, dots.y, strict=True)) == [(10, 1), (11, 0), (12, 2), (13, 3), (14, 0)]
    (line,) = [line for line in draw_mutagenesis(donor)[1].lines if line.get_marker() == "."]
    assert line.get_xydata().tolist() == [[10, 1], [11, 0], [12, 2], [13, 3], [14, 0]]


def test_masked_bases_are_hatched_where_nothing_is_known(donor):
    hatched = [trace for trace in plot_mutagenesis(donor).data if trace.name == "masked" and len(trace.x)]
    assert [trace.x[0] for trace in hatched] == [15, 15, 15], "letters, substitutions and deletions; not insertions"
    assert "hatched: masked" in words(draw_mutagenesis(donor)[0])
    assert "hatched" not in words(draw_mutagenesis(donor, 10, 15)[0])


def test_a_window_keeps_positions_of_the_sequence(donor):
    figure = plot_mutagenesis(donor, 12, 14)
    np.testing.assert_array_equal(traces(figure)["substitutions"].z, donor.substitutions[2:4].T)
    assert figure.layout.xaxis2.range == (11.5, 13.5)
    above, below = draw_mutagenesis(donor, 12, 14)
    assert below.get_xlim() == (11.5, 13.5)


def test_insertions_alone_have_no_letters_and_no_dots(donor):
    alone = replace(donor, substitutions=None, deletions=None)
    figure = plot_mutagenesis(alone)
    assert "as it is" not in traces(figure)
    assert not set(traces(figure)) & set("ACGTN")
    assert figure.layout.yaxis2.ticktext == ("+A", "+C", "+G", "+T")
    assert "Change of donor by insertions" in words(draw_mutagenesis(alone)[0])


def test_titles_say_what_was_edited_and_how(donor):
    for title in (plot_mutagenesis(donor).layout.title.text, words(draw_mutagenesis(donor)[0])):
        for part in ("donor by substitutions, insertions and deletions", "output 3.1", "each variant as a whole"):
            assert part in title
    kept = replace(donor, length_kept=True)
    assert "the last base falls off" in plot_mutagenesis(kept).layout.title.text
    assert "falls off" not in plot_mutagenesis(replace(kept, insertions=None, deletions=None)).layout.title.text


def test_alternative_text_tells_the_strongest_edit(donor):
    assert describe(donor).endswith("replacing G at 12 by A changes it most, by -2 from 3.1.")
    assert plot_mutagenesis(donor).layout.meta["alt"] == describe(donor)
    assert "cutting out G at 12" in describe(replace(donor, substitutions=None))
    masked = replace(donor, substitutions=np.full((6, 4), np.nan), insertions=None, deletions=None)
    assert describe(masked).endswith("all bases are masked.")
    assert plot_mutagenesis(masked).layout.coloraxis.cmax == 1


def test_windows_that_cannot_be_drawn_are_refused(donor):
    for function in (plot_mutagenesis, draw_mutagenesis):
        for window in ((9, 12), (12, 17), (12, 12)):
            with pytest.raises(DataError, match="does not lie in what was mutated, 10–16"):
                function(donor, *window)
        long = replace(donor, sequence="A" * (MOST + 1), bases=(0, MOST + 1), substitutions=np.zeros((MOST + 1, 4)))
        with pytest.raises(DataError, match="2,001 bases are too many to read"):
            function(replace(long, insertions=None, deletions=None))
    with pytest.raises(DataError, match="1 Axes came"):
        draw_mutagenesis(donor, axes=draw_mutagenesis(donor)[:1])


def test_paper_draws_on_given_axes_and_follows_the_theme(donor):
    axes = draw_mutagenesis(donor)
    assert (draw_mutagenesis(donor, axes=axes) == axes).all()
    set_theme("dark")
    assert to_hex(draw_mutagenesis(donor)[0].get_facecolor()).upper() == THEMES["dark"]["background"]
