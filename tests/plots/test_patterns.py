"""Patterns over positions: curves are the records' numbers, and what is told is what is seen."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from genomic_lens.errors import DataError
from genomic_lens.plots import (
    draw_convolution_patterns,
    draw_positional_patterns,
    plot_convolution_patterns,
    plot_positional_patterns,
    set_theme,
)
from genomic_lens.plots.curves import Curve, Panel, draw_panels, plot_panels
from genomic_lens.plots.style import THEMES
from genomic_lens.plots.words import describe
from genomic_lens.records import ConvolutionPatterns, PositionalPatterns

from .conftest import words


@pytest.fixture
def filters():
    """Two channels; the first is all that counts. It fades by half in 10 bases and answers most at one third."""
    lags = np.arange(120)
    impulse = 0.5 ** (lags / np.array([[10.0], [40.0]])) * np.cos(2 * np.pi * lags / 3)
    transform = np.fft.rfft(impulse, 360)
    delay = (np.fft.rfft(impulse * lags, 360) / transform).real
    delay[1, :3] = np.nan
    return ConvolutionPatterns(
        layer=2, index=0, lags=lags, impulse=impulse, frequencies=np.fft.rfftfreq(360), spectrum=np.abs(transform),
        group_delay=delay, half_lives=np.array([10.0, 40.0]), periods=np.array([3.0, np.inf]),
        reach=np.array([21.0, 86.0]), strength=np.array([2.0, 0.0]), profile_lags=lags,
        profile=impulse * (120 - lags) * np.where(lags % 2, 1.0, 0.5), pairs=120 - lags, longest=120, sequences=3,
    )  # fmt: skip


def layer_of(layer, decay, swing=0.0, q=0.8, head=-1):
    lags = np.arange(200)
    profile = 0.5 ** (lags / decay) * (1 + swing * np.cos(2 * np.pi * lags / 3))
    return PositionalPatterns(
        layer=layer, head=head, kind="norm", path="value", lags=lags, profile=profile, pairs=200 - lags,
        distribution=profile / profile.sum(), entropy=4.0, entropy_limit=6.5, distance=decay,
        periods=np.array([3.0, 10.5]), swing=np.array([swing, 0.01]), power=np.array([9.0, 1.0]), p=np.array([q, 0.5]),
        q=np.array([q, 0.7]), periodic_lags=100, rows=400, sequences=2,
    )  # fmt: skip


@pytest.fixture
def layers():
    return [layer_of(0, 5.0), layer_of(1, 20.0, 0.4, 1e-6), layer_of(2, 60.0)]


def named(figure):
    found = {}
    for trace in figure.data:
        found.setdefault(trace.name, []).append(trace)
    return found


# --- convolutions -----------------------------------------------------------------------------------------------------


def test_lag_profiles_are_relative_to_the_largest_and_end_at_their_depth(filters):
    found = named(plot_convolution_patterns(filters))
    alone, through = found["filters alone"][0], found["through the gates"][0]
    first = np.abs(filters.impulse[0])
    np.testing.assert_allclose(alone.y[:30], first[:30] / first.max())
    weight = np.where(np.arange(120) % 2, 1.0, 0.5) * first
    np.testing.assert_allclose(through.y[:30], weight[:30] / weight.max())
    quiet = replace(filters, impulse=filters.impulse * 0.5 ** (3 * filters.lags / 10), reach=np.array([5.0, 9.0]))
    drawn = named(plot_convolution_patterns(quiet))["filters alone"][0].y
    assert np.isnan(drawn[-1])
    assert np.nanmin(drawn) >= 1e-4


def test_the_loudest_frequency_is_at_the_mark_of_the_codon(filters):
    figure = plot_convolution_patterns(filters)
    curve = next(trace for trace in figure.data if trace.xaxis == "x2")
    assert curve.x[np.argmax(curve.y)] == pytest.approx(1 / 3, abs=1e-3)
    assert {note.text for note in figure.layout.annotations} == {"3: codon", "10.5: helix"}


def test_delays_are_quartiles_of_the_channels_that_answer(filters):
    median = named(plot_convolution_patterns(filters))["median"][0]
    np.testing.assert_allclose(median.y[0], filters.group_delay[0, 0])
    np.testing.assert_allclose(median.y[10], filters.group_delay[:, 10].mean())


def test_titles_say_how_it_was_made(filters):
    title = plot_convolution_patterns(filters).layout.title.text
    for part in ("Filters of layer 2: median half-life 25 bases", "2 channels, by strength", "gates of 3 sequences"):
        assert part in title
    bare = replace(filters, profile=np.zeros((2, 0)), profile_lags=np.zeros(0), pairs=np.zeros(0), sequences=0)
    assert "through the gates" not in named(plot_convolution_patterns(bare))
    assert "no sequences: filters alone" in plot_convolution_patterns(bare).layout.title.text
    chunked = replace(filters, bases_per_lag=2.5, longest=2.5 * 500)
    title = plot_convolution_patterns(chunked).layout.title.text
    assert "a lag is a chunk of 2.5 bases on average" in title
    assert "120 lags of up to 500" in title


def test_paper_shows_the_same(filters):
    axes = draw_convolution_patterns(filters)
    assert [ax.get_yscale() for ax in axes] == ["log", "linear", "linear", "linear"]
    assert "median half-life 25 bases" in words(axes[0])
    np.testing.assert_allclose(axes[0].lines[0].get_ydata()[:5], np.abs(filters.impulse[0, :5]))
    assert (draw_convolution_patterns(filters, axes) == axes).all()
    with pytest.raises(DataError, match="1 Axes came; pass 4: Filters of layer 2"):
        draw_convolution_patterns(filters, axes[:1])


def test_alternative_text_of_filters_tells_the_medians(filters):
    assert describe(filters) == (
        "Of 2 filters of layer 2, half fade to one half within 25 bases, and half have 95 % of their energy "
        "within 53.5 bases; 1 oscillates, half of them with a period of at most 3 bases."
    )
    assert plot_convolution_patterns(filters).layout.meta["alt"] == describe(filters)
    assert "oscillate" not in describe(replace(filters, periods=np.full(2, np.inf)))


def test_filters_that_do_not_fade_have_no_reach(filters):
    """Of a flat filter 95 % of the energy lies within 95 % of the lags, which says where reading ended."""
    name = "95 % of the energy within"
    assert named(plot_convolution_patterns(filters))[name][0].x.tolist() == [21, 86]
    one, none = (replace(filters, reach=np.array(reach)) for reach in ([21.0, 113.0], [113.0, 114.0]))
    assert named(plot_convolution_patterns(one))[name][0].x.tolist() == [21]
    assert named(plot_convolution_patterns(one))[name][0].y.tolist() == [50]
    assert "1 does not fade within 120 lags" in words(draw_convolution_patterns(one)[3])
    assert name not in named(plot_convolution_patterns(none))
    assert "most do not fade within the first 120 lags" in describe(none)


# --- positions --------------------------------------------------------------------------------------------------------


def test_curves_of_positions_are_near_far_and_in_rhythm(layers):
    found = named(plot_positional_patterns(layers))
    near, far = found["layer 1"]
    assert (near.x[0], near.x[-1]) == (1, 48)
    np.testing.assert_allclose(near.y, layers[1].profile[1:49] / layers[1].profile[1:49].mean())
    assert far.y[-1] == pytest.approx(100)
    assert far.y[9] == pytest.approx(100 * layers[1].distribution[:11].sum())
    assert found["3 bases, q < 0.05"][0].x.tolist() == [1]
    assert found["3 bases, q < 0.05"][0].y == pytest.approx([40])
    assert found["3 bases, q ≥ 0.05"][0].x.tolist() == [0, 2]
    assert found["3 bases, q ≥ 0.05"][0].marker.symbol == "circle-open"


def test_titles_and_text_name_the_clearest_rhythm(layers):
    figure = plot_positional_patterns(layers)
    assert "clearest: 3 bases, layer 1, q < 0.001" in figure.layout.title.text
    assert "400 rows of 2 sequences, value path" in figure.layout.title.text
    assert "it swings by 40 % with a period of 3 bases (q < 0.001)" in figure.layout.meta["alt"]
    short = replace(layers[0], q=np.full(2, np.nan))
    assert "too few distances to tell" in plot_positional_patterns(short).layout.title.text
    assert "swings" not in describe(short)
    assert describe(replace(layers[0], head=3)).startswith("Layer 0 head 3 has 4 of at most 6.5 bits")


def test_paper_shows_positions_too(layers):
    axes = draw_positional_patterns(layers)
    assert [len(ax.lines) for ax in axes] == [3, 3, 3]
    assert axes[1].get_xscale() == "log"
    assert "clearest: 3 bases, layer 1" in words(axes[2])
    for function in (plot_positional_patterns, draw_positional_patterns):
        with pytest.raises(DataError, match="No record came"):
            function([])


def test_both_follow_the_theme(filters):
    set_theme("dark")
    assert named(plot_convolution_patterns(filters))["median"][0].line.color == THEMES["dark"]["accent"]
    ground = draw_convolution_patterns(filters)[0].get_facecolor()
    assert to_hex(ground).upper() == THEMES["dark"]["background"]


# --- panels -----------------------------------------------------------------------------------------------------------


def test_a_name_is_in_the_legend_once_and_not_where_it_is_alone():
    x = np.arange(5)
    one, other = Curve(x, x, "one", "#000000"), Curve(x, -x, "other", "#ff0000", "dashed")
    panels = [Panel("", "x", "y", [one]), Panel("", "x", "y", [one, other]), Panel("", "x", "y", [one, other, other])]
    shown = [(trace.name, trace.showlegend) for trace in plot_panels(panels, "all", [], "").data]
    assert shown == [
        ("one", False), ("one", True), ("other", True), ("one", False), ("other", False), ("other", False)
    ]  # fmt: skip
    axes = draw_panels(panels, columns=2)
    assert axes[0].get_legend() is None
    assert [text.get_text() for text in axes[2].get_legend().get_texts()] == ["one", "other"]


def test_long_curves_are_thinned_to_their_extremes():
    y = np.zeros(100_000)
    y[77_777] = 5
    trace = plot_panels([Panel("", "x", "y", [Curve(np.arange(100_000), y, "one", "#000000")])], "", [], "").data[0]
    assert len(trace.y) <= 2000
    assert max(trace.y) == 5


def test_logarithmic_axes_have_ticks_that_can_be_read():
    curve = Curve(np.arange(1, 99), np.arange(1, 99), "one", "#000000")
    figure = plot_panels([Panel("", "x", "y", [curve], log="xy")], "", [], "")
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type, figure.layout.xaxis.dtick) == ("log", "log", "D2")
