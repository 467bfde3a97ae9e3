"""The largest contribution has the tallest letter; masks, signs and honesty are visible."""

from dataclasses import replace

import numpy as np
import pytest

from genomic_lens.errors import DataError
from genomic_lens.plots.attribution import (
    bin_sums,
    draw_attribution,
    draw_attributions,
    plot_attribution,
    plot_attributions,
)

from .conftest import words


def outlines(figure):
    return {trace.name: np.stack([trace.x, trace.y], 1) for trace in figure.data if trace.name in set("ACGTN")}


def hatched(figure):
    bars = next(trace for trace in figure.data if trace.name == "masked")
    return [(x - width / 2, x + width / 2) for x, width in zip(bars.x, bars.width or (), strict=True)]


def test_the_tallest_letter_stands_on_the_largest_contribution_and_is_as_high(donor):
    drawn = outlines(plot_attribution(donor))
    letter = max(drawn, key=lambda name: np.nanmax(drawn[name][:, 1]))
    top = drawn[letter][np.nanargmax(drawn[letter][:, 1])]
    assert letter == "G"
    assert top[1] == 2.5
    assert round(top[0]) == 3


def test_negative_contributions_lie_below_the_axis_and_others_above(donor):
    for name, outline in outlines(plot_attribution(donor)).items():
        places = np.round(outline[:, 0])
        for place in np.unique(places[~np.isnan(places)]).astype(int):
            heights = outline[places == place, 1]
            ends = (heights.min(), heights.max())
            value = donor.values[place]
            assert donor.sequence[place] == name
            assert ends == pytest.approx((min(value, 0), max(value, 0)))


def test_masked_bases_are_hatched_and_have_no_letter(donor):
    figure = plot_attribution(donor)
    assert "N" not in outlines(figure)
    assert hatched(figure) == [(7.5, 9.5)]
    assert "hatched: 2 masked" in figure.layout.title.text
    spans = [patch for patch in draw_attribution(donor).patches if patch.get_hatch()]
    assert [(patch.get_x(), patch.get_width()) for patch in spans] == [(7.5, 2.0)]


def test_a_zero_contribution_is_not_hatched(donor):
    assert hatched(plot_attribution(replace(donor, values=np.zeros(10)))) == []


def test_titles_carry_target_method_baseline_and_gap(donor):
    for title in (plot_attribution(donor).layout.title.text, words(draw_attribution(donor))):
        for part in ("donor", "exact", "shuffled", "mean of 20", "adds up to 99.97 %"):
            assert part in title


def test_pointing_at_a_base_tells_position_letter_and_contribution(donor):
    pointer = next(trace for trace in plot_attribution(donor).data if trace.name == "contribution")
    assert pointer.x.tolist() == list(range(10))
    assert pointer.text[3] == "G  +2.5"
    assert pointer.text[9] == "N  masked"
    assert "%{x:,}" in pointer.hovertemplate
    spread = plot_attribution(replace(donor, spread=np.full(10, 0.25)))
    assert next(trace for trace in spread.data if trace.name == "contribution").text[3] == "G  +2.5 ± 0.25"


def test_a_window_keeps_positions_of_the_sequence_and_says_what_adds_up(donor):
    figure = plot_attribution(donor, 2, 6)
    assert figure.layout.xaxis.range == (1.5, 5.5)
    assert np.nanmax(outlines(figure)["G"][:, 0]) == pytest.approx(3.47)
    assert "over all 10 bases" in figure.layout.title.text
    assert hatched(figure) == []
    assert draw_attribution(donor, start=2, stop=6).get_xlim() == (1.5, 5.5)


def test_windows_outside_the_sequence_are_refused(donor):
    for function in (plot_attribution, draw_attribution):
        with pytest.raises(DataError, match="does not lie in the 10 bases"):
            function(donor, start=4, stop=11)


def test_bins_keep_the_sum_of_each_sign():
    values = np.random.default_rng(0).normal(size=997)
    positive, negative, edges = bin_sums(values, most=100)
    assert positive.sum() == pytest.approx(values[values > 0].sum())
    assert negative.sum() == pytest.approx(values[values < 0].sum())
    assert (edges[0], edges[-1], len(positive)) == (0, 997, 100)
    third = values[edges[3] : edges[4]]
    assert positive[3] == pytest.approx(third[third > 0].sum())


def test_a_bin_is_masked_only_if_all_its_bases_are():
    positive, negative, _ = bin_sums(np.array([np.nan, 2.0, np.nan, np.nan, -1.0, 0.0]), most=3)
    assert positive[[0, 2]].tolist() == [2, 0]
    assert negative[[0, 2]].tolist() == [0, -1]
    assert np.isnan([positive[1], negative[1]]).all()


def test_many_bases_are_summed_in_words_and_masks_stay(donor):
    values = np.random.default_rng(0).normal(size=5000)
    values[1000:1500] = np.nan
    record = replace(donor, sequence="A" * 5000, values=values)
    figure = plot_attribution(record)
    assert outlines(figure) == {}
    assert "each bar sums 5 bases" in figure.layout.title.text
    assert hatched(figure) == [(999.5, 1499.5)]
    drawn = {trace.name: np.nansum(trace.y) for trace in figure.data if trace.name in ("for", "against")}
    assert drawn["for"] + drawn["against"] == pytest.approx(np.nansum(values))
    assert "each bar sums 5 bases" in words(draw_attribution(record))


def test_matplotlib_letters_have_the_heights_of_the_record(donor):
    ax = draw_attribution(donor)
    boxes = {patch.get_label(): patch.get_path().get_extents() for patch in ax.patches if not patch.get_hatch()}
    assert set(boxes) == {"_A", "_C", "_G", "_T"}
    assert boxes["_G"].y1 == 2.5
    assert boxes["_A"].y0 == -0.7
    assert ax.get_ylim()[0] < -0.7


def test_axes_given_are_the_axes_returned(donor):
    ax = draw_attribution(donor)
    assert draw_attribution(donor, ax=ax) is ax


def test_the_figure_says_its_finding(donor):
    assert plot_attribution(donor).layout.meta["alt"].startswith("Contributions of 10 bases to donor")


# --- several records ------------------------------------------------------------------------------------------------


def stacked(donor):
    """The same site by another method, off by more, and for another target."""
    noisy = replace(donor, method="gradient", baseline="mean of bases", gap=0.41, references=1, values=-donor.values)
    return [donor, noisy, replace(donor, target="acceptor")]


def test_rows_share_the_axis_of_bases_and_each_says_how_it_was_made(donor):
    figure = plot_attributions(stacked(donor)[:2])
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert figure.layout.title.text.startswith("<b>donor</b>")
    assert "hatched: 2 masked" in figure.layout.title.text
    assert titles == [
        "exact, baseline shuffled (mean of 20) · adds up to 99.97 %",
        "gradient, baseline mean of bases · does not add up: the sum is -4.7 for a change of 4.7",
    ]
    assert figure.layout.xaxis.matches == "x2"
    assert figure.layout.xaxis2.title.text == "position (bases, strand as given)"
    assert [axis.range for axis in figure.select_xaxes()] == [(-0.5, 9.5)] * 2


def test_each_row_draws_its_own_record_on_its_own_scale(donor):
    figure = plot_attributions(stacked(donor)[:2])
    tallest = {trace.yaxis: np.nanmax(trace.y) for trace in figure.data if trace.name == "G"}
    assert tallest == {"y": 2.5, "y2": 0.0}
    first, second = (axis.range for axis in figure.select_yaxes())
    assert first == pytest.approx([-end for end in second[::-1]])


def test_targets_are_told_where_rows_differ_in_them(donor):
    figure = plot_attributions(stacked(donor))
    assert "3 attributions" in figure.layout.title.text
    targets = [annotation.text.split(" · ")[0] for annotation in figure.layout.annotations]
    assert targets == ["donor", "donor", "acceptor"]


def test_one_record_is_drawn_as_ever(donor):
    assert plot_attributions([donor]) == plot_attribution(donor)


def test_rows_on_paper_have_titles_of_their_own(donor):
    axes = draw_attributions(stacked(donor), 2, 9)
    assert [ax.get_title(loc="left") for ax in axes] == ["donor", "donor", "acceptor"]
    assert "the sum is -4.7 for a change of 4.7" in words(axes[1])
    assert [ax.get_xlim() for ax in axes] == [(1.5, 8.5)] * 3
    assert [bool(ax.get_xlabel()) for ax in axes] == [False, False, True]


@pytest.mark.parametrize("function", [plot_attributions, draw_attributions])
def test_records_of_two_sequences_are_refused(donor, function):
    other = replace(donor, sequence="CAAGTAAGTN")
    with pytest.raises(DataError, match="2 records of 2 sequences came"):
        function([donor, other])
    with pytest.raises(DataError, match="0 records"):
        function([])


def test_many_bases_in_rows_are_summed(donor):
    record = replace(donor, sequence="A" * 5000, values=np.random.default_rng(0).normal(size=5000))
    figure = plot_attributions([record, record])
    assert "each bar sums 5 bases" in figure.layout.title.text
    drawn = [np.nansum(trace.y) for trace in figure.data if trace.name in ("for", "against") and trace.yaxis == "y2"]
    assert sum(drawn) == pytest.approx(record.values.sum())
