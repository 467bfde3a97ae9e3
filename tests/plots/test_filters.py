"""Filters: the lines are the bank's, thinning keeps extremes, all reaches are counted."""

from dataclasses import replace

import numpy as np
import pytest

from genomic_lens.errors import DataError
from genomic_lens.plots.filters import draw_filters, plot_filters, thin

from .conftest import words


def traces(figure, axis):
    return {trace.name: trace for trace in figure.data if (trace.xaxis or "x") == axis}


def test_lines_are_the_responses_and_spectra_of_the_channels_asked_for(bank):
    figure = plot_filters(bank, channels=[7, 2])
    responses, spectra = traces(figure, "x"), traces(figure, "x2")
    assert list(responses) == list(spectra) == ["channel 2", "channel 7"]
    assert np.array_equal(responses["channel 7"].y, bank.impulse[7])
    assert np.array_equal(spectra["channel 2"].y, bank.spectrum[2])
    drawn = draw_filters(bank, channels=[7, 2])
    assert np.array_equal(drawn[0].lines[1].get_ydata(), bank.impulse[7])


def test_the_choice_by_itself_holds_shortest_and_longest_reach_and_says_how_many(bank):
    figure = plot_filters(bank)
    names = list(traces(figure, "x"))
    assert len(names) == 6
    assert (names[0], names[-1]) == ("channel 0", "channel 11")
    assert "6 of 12 channels spread evenly" in figure.layout.title.text
    assert "6 of 12 channels spread evenly" in words(draw_filters(bank)[0])


def test_all_reaches_are_counted_whatever_is_drawn(bank):
    bars = traces(plot_filters(bank, channels=[0]), "x3")["reach"]
    assert bars.y.sum() == 12
    reach = draw_filters(bank, channels=[0])[2]
    assert sum(patch.get_height() for patch in reach.patches) == 12
    assert reach.lines[-1].get_xdata()[0] == np.median(bank.reach)


def test_both_lines_of_a_channel_share_colour_and_legend(bank):
    figure = plot_filters(bank)
    for name, response in traces(figure, "x").items():
        spectrum = traces(figure, "x2")[name]
        assert response.legendgroup == spectrum.legendgroup
        assert response.line.color == spectrum.line.color
    assert len({trace.line.color for trace in traces(figure, "x").values()}) == 6


def test_thinning_keeps_peaks_order_and_points_of_the_line():
    x = np.arange(100_003)
    y = np.sin(x / 7)
    y[54_321], y[77_777] = 9.0, -8.0
    thin_x, thin_y = thin(x, y, most=500)
    assert len(thin_x) <= 500
    assert (np.diff(thin_x) >= 0).all()
    assert np.array_equal(y[thin_x], thin_y)
    assert (thin_y.max(), thin_y.min()) == (9, -8)
    assert thin_x[thin_y.argmax()] == 54_321


def test_short_lines_are_not_thinned_and_long_ones_say_so(bank):
    assert "thinned" not in plot_filters(bank).layout.title.text
    impulse = np.ones((12, 5000))
    long = replace(bank, lags=np.arange(5000), impulse=impulse)
    assert "thinned to the extremes of 1,000 bins" in plot_filters(long).layout.title.text


@pytest.mark.parametrize("channels", [[12], [-1], []])
def test_channels_that_do_not_exist_are_refused(bank, channels):
    with pytest.raises(DataError, match="expected some of 0 to 11"):
        plot_filters(bank, channels)


def test_three_axes_are_needed_and_returned(bank):
    axes = draw_filters(bank)
    assert (draw_filters(bank, axes) == axes).all()
    with pytest.raises(DataError, match="pass three"):
        draw_filters(bank, axes[:2])
