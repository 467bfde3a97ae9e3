"""The two settings, contrast, number formats, honesty in words."""

import matplotlib.colors
import numpy as np
import plotly.graph_objects as go
import pytest

from genomic_lens.errors import ConfigurationError
from genomic_lens.plots import plot_attribution
from genomic_lens.plots.frames import finish_figure
from genomic_lens.plots.style import (
    THEMES,
    adds_up,
    base_colour,
    format_base,
    percent,
    set_base_colours,
    set_theme,
    shows,
    token,
)


def test_base_colours_switch_for_letters_and_figures_and_come_back(donor):
    assert [base_colour(letter) for letter in "ACGT"] == ["#109648", "#255C99", "#F7B32B", "#D62839"]
    before = set_base_colours("colour_blind")
    assert [base_colour(letter) for letter in "acgu"] == ["#009E73", "#0072B2", "#E69F00", "#D55E00"]
    drawn = next(trace for trace in plot_attribution(donor).data if trace.name == "G")
    assert drawn.fillcolor == "#E69F00"
    assert set_base_colours(before) == "colour_blind"
    assert base_colour("A") == "#109648"


def test_thymine_and_uracil_share_a_colour_that_no_other_letter_has():
    for name in ("standard", "colour_blind"):
        set_base_colours(name)
        assert base_colour("T") == base_colour("U")
        assert len({base_colour(letter) for letter in "ACGTN"}) == 5


def test_theme_switches_and_comes_back():
    before = set_theme("dark")
    assert token("background") == "#111418"
    assert finish_figure(go.Figure(), "x", [], 100, "").layout.template.layout.paper_bgcolor == "#111418"
    set_theme(before)
    assert token("background") == "#FFFFFF"


@pytest.mark.parametrize("setter", [set_theme, set_base_colours])
def test_unknown_settings_are_refused_and_change_nothing(setter):
    with pytest.raises(ConfigurationError, match="'neon'; expected"):
        setter("neon")
    assert (base_colour("A"), token("background")) == ("#109648", "#FFFFFF")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("role", ["text", "muted", "accent"])
def test_words_can_be_read_on_their_background(theme, role):
    def luminance(colour):
        parts = np.array(matplotlib.colors.to_rgb(colour))
        return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    dark, light = sorted(luminance(THEMES[theme][name]) + 0.05 for name in (role, "background"))
    assert light / dark >= 4.5


def test_positions_carry_thousands_separators():
    assert [format_base(position) for position in (0, 999, 1000, 1234567.0, -3, 2.5)] == [
        "0", "999", "1,000", "1,234,567", "-3", "2.5",
    ]  # fmt: skip


def test_only_an_exact_sum_adds_up_to_a_hundred_percent():
    assert adds_up(0.0) == "adds up to 100 %"
    assert adds_up(1e-9) == "adds up to 99.99 %"
    assert adds_up(0.001, 1.0, 1.001) == "adds up to 99.9 %"
    assert "not measured" in adds_up(float("nan"))


@pytest.mark.parametrize("total", [3.68, 1.2, -2.29])
def test_a_sum_that_overshoots_falls_short_or_turns_round_is_said_not_to_add_up(total):
    assert adds_up(0.4, total, 2.29) == f"does not add up: the sum is {total} for a change of 2.29"


def test_references_that_do_not_add_up_are_not_hidden_by_a_mean_that_does():
    assert adds_up(0.0312, 4.7, 4.7) == "does not add up: off by 3.12 %"
    assert adds_up(1.5) == "does not add up: off by 150 %"


def test_share_of_the_jacobian_in_words():
    assert shows(0.47) == "shows 47 % of the Jacobian"
    assert "cancel" in shows(1.12)
    assert "not measured" in shows(float("nan"))
    assert percent(0.00031) == "0.031 %"
