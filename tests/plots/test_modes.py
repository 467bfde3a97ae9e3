"""Modes: bars add up energy, the headline is the weighted median, periods are marked and grey where nothing is left."""

from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from matplotlib.colors import to_hex

from genomic_lens.errors import DataError
from genomic_lens.plots import draw_modes, plot_modes, set_theme
from genomic_lens.plots.style import token
from genomic_lens.records import ModeBank

from .conftest import words


@pytest.fixture
def fading() -> ModeBank:
    """Two channels; most of the energy is in half-lives of 40 bases, the loudest single mode in 500."""
    half_lives = np.array([[2.0, 40.0, 500.0], [3.0, 40.0, 40.0]])
    energy = np.array([[0.1, 0.3, 0.6], [0.2, 0.5, 0.3]])
    return ModeBank(2, half_lives, np.full((2, 3), np.inf), energy)


@pytest.fixture
def turning(fading) -> ModeBank:
    """The codon's period in three modes, of which one has faded before it has turned; one mode does not turn."""
    return replace(fading, periods=np.array([[3.0, 3.0, np.inf], [10.5, 3.0, 400.0]]))


def bars(figure: go.Figure, name: str) -> dict[tuple[float, float], float]:
    """Percent of the energy by span in bases."""
    trace = next(trace for trace in figure.data if trace.name == name)
    return {tuple(span): height for span, height in zip(trace.customdata, trace.y, strict=True) if height}


def at(found: dict[tuple[float, float], float], bases: float) -> float:
    return sum(height for (low, high), height in found.items() if low <= bases * (1 + 1e-9) < high)


def test_the_headline_says_the_weighted_median(fading):
    """Below 40 bases lie 0.3 of 2 channels' energy, at 40 bases 1.1 more: half is reached there."""
    assert fading.half_life == 40
    assert "Modes of layer 2: median half-life 40 bases" in plot_modes(fading).layout.title.text
    (ax,) = draw_modes(fading)
    assert "Modes of layer 2: median half-life 40 bases" in words(ax)
    assert ax.lines[0].get_xdata()[0] == 40
    assert plot_modes(fading).layout.shapes[0].x0 == pytest.approx(np.log10(40))


def test_the_median_moves_with_energy_not_with_modes(fading):
    loud = replace(fading, energy=np.array([[0.2, 0, 0], [1.0, 0, 0]]))
    assert "median half-life 3 bases" in plot_modes(loud).layout.title.text


def test_bars_are_percent_of_energy_each_channel_counting_the_same(fading):
    found = bars(plot_modes(fading), "half-lives")
    assert sum(found.values()) == pytest.approx(100)
    assert [at(found, bases) for bases in (2, 3, 40, 500)] == pytest.approx([5, 10, 55, 30])
    (ax,) = draw_modes(fading)
    assert sum(patch.get_height() for patch in ax.patches) == pytest.approx(100)
    assert max(patch.get_height() for patch in ax.patches) == pytest.approx(55)
    assert ax.get_xscale() == "log"


@pytest.mark.parametrize("half_life", [1e-3, 0.3, 1.0, 10.0, 1000.0, 123_456.0])
def test_one_half_life_anywhere_is_one_bar_with_its_number_in_it(half_life):
    bank = ModeBank(0, np.full((1, 2), half_life), np.full((1, 2), np.inf), np.full((1, 2), 0.5))
    found = bars(plot_modes(bank), "half-lives")
    assert list(found.values()) == pytest.approx([100])
    assert at(found, half_life) == pytest.approx(100)
    (ax,) = draw_modes(bank)
    low, high = ax.get_xlim()
    assert low <= half_life * (1 + 1e-9) < high


def test_modes_that_only_fade_have_one_panel(fading):
    assert [trace.name for trace in plot_modes(fading).data] == ["half-lives"]
    assert len(draw_modes(fading)) == 1


def test_periods_have_a_panel_and_are_grey_where_nothing_is_left_to_turn(turning):
    """Of period 3: modes of 40 bases in either channel are heard, the one of 2 bases fades first."""
    figure = plot_modes(turning)
    assert at(bars(figure, "periods"), 3) == pytest.approx(40)
    assert at(bars(figure, "periods of what fades first"), 3) == pytest.approx(5)
    assert at(bars(figure, "periods of what fades first"), 10.5) == pytest.approx(10)
    assert at(bars(figure, "periods of what fades first"), 400) == pytest.approx(15)
    assert "40 % of the energy oscillates before half is lost" in figure.layout.title.text
    assert "40 % of the energy oscillates before half is lost" in words(draw_modes(turning)[1])


def test_a_mode_that_turns_once_while_half_is_lost_is_heard(turning):
    once = replace(turning, half_lives=turning.periods.clip(max=1000.0))
    names = [trace.name for trace in plot_modes(once).data if np.any(trace.y)]
    assert names == ["half-lives", "periods"]


def test_a_bar_of_period_three_is_narrow(turning):
    (span,) = bars(plot_modes(turning), "periods")
    assert 2.5 < span[0] <= 3 < span[1] < 3.5


def test_codon_and_helix_are_marked(turning):
    figure = plot_modes(turning)
    labels = {note.text: note.x for note in figure.layout.annotations}
    assert labels == pytest.approx({"3: codon": np.log10(3), "10.5: helix": np.log10(10.5)})
    ax = draw_modes(turning)[1]
    assert {"3: codon", "10.5: helix"} <= {text.get_text() for text in ax.texts}
    assert [line.get_xdata()[0] for line in ax.lines] == [3, 10.5]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_themes_take_their_colours_and_render(turning, theme):
    set_theme(theme)
    figure = plot_modes(turning)
    colours = {trace.name: trace.marker.color for trace in figure.data}
    assert colours["half-lives"] == colours["periods"] == token("accent")
    assert colours["periods of what fades first"] == token("masked")
    assert figure.layout.template.layout.paper_bgcolor == token("background")
    assert "<script" in figure.to_html(include_plotlyjs=False)
    axes = draw_modes(turning)
    axes[0].figure.canvas.draw()
    assert {to_hex(ax.get_facecolor()) for ax in axes} == {token("background").lower()}
    assert to_hex(axes[0].patches[0].get_facecolor()) == token("accent").lower()


def test_the_figure_has_words_for_those_who_cannot_see_it(turning):
    alt = plot_modes(turning).layout.meta["alt"]
    assert "half-lives of up to 40 bases; they go from 2 to 500 bases; 40 % of it oscillates" in alt


def test_silent_filters_are_drawn_and_not_guessed(fading):
    silent = replace(fading, energy=np.zeros((2, 3)))
    assert "median half-life nan" in plot_modes(silent).layout.title.text
    assert sum(patch.get_height() for patch in draw_modes(silent)[0].patches) == 0


def test_axes_are_used_and_counted(fading, turning):
    axes = draw_modes(turning)
    assert (draw_modes(turning, axes) == axes).all()
    assert draw_modes(fading, axes[0])[0] is axes[0]
    with pytest.raises(DataError, match="1 Axes came; pass 2: half-lives, periods"):
        draw_modes(turning, axes[0])
    with pytest.raises(DataError, match="2 Axes came; pass 1: half-lives\\."):
        draw_modes(fading, axes)
