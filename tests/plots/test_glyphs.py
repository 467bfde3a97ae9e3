"""Outlines fill their boxes, stacks add up, plotly and matplotlib draw the same."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.path import Path

from genomic_lens.errors import DataError
from genomic_lens.plots.glyphs import (
    draw_letters,
    glyph_outline,
    height_limits,
    letter_outlines,
    letter_row,
    letter_stacks,
    plot_letters,
)


@pytest.mark.parametrize("letter", "ACGTUN")
def test_an_outline_fills_the_unit_box_exactly(letter):
    outline = glyph_outline(letter)
    assert np.nanmin(outline, axis=0).tolist() == [0, 0]
    assert np.nanmax(outline, axis=0).tolist() == [1, 1]


def test_an_a_has_a_hole_that_runs_the_other_way():
    def area(contour):
        x, y = contour.T
        return ((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2

    outline = glyph_outline("A")
    ends = np.flatnonzero(np.isnan(outline[:, 0]))
    contours = [part[~np.isnan(part[:, 0])] for part in np.split(outline, ends)]
    areas = [area(contour) for contour in contours if len(contour)]
    assert len(areas) == 2
    assert areas[0] * areas[1] < 0
    assert all((contour[0] == contour[-1]).all() for contour in contours if len(contour))


@pytest.mark.parametrize("letter", ["", " ", "AC"])
def test_what_is_no_letter_is_refused(letter):
    with pytest.raises(DataError, match="no letter to draw"):
        glyph_outline(letter)


def test_each_letter_has_the_box_of_its_value():
    values = np.array([0.5, -2.0, 3.0])
    for letter, place, value in zip("ACG", range(10, 13), values, strict=True):
        outline = letter_outlines(letter_row("ACG", values, start=10), width=0.9)[letter]
        (left, low), (right, high) = np.nanmin(outline, axis=0), np.nanmax(outline, axis=0)
        assert (left, right) == pytest.approx((place - 0.45, place + 0.45))
        assert (low, high) == pytest.approx((min(value, 0), max(value, 0)))


def test_negative_letters_hang_upside_down():
    up, down = (letter_outlines(letter_row("A", np.array([value])))["A"] for value in (1.0, -1.0))
    assert np.array_equal(down[:, 1], -up[:, 1], equal_nan=True)


def test_masked_bases_and_zeros_have_no_letter():
    placed = letter_row("ACGT", np.array([1.0, np.nan, 0.0, -1.0]))
    assert placed.letters.tolist() == ["A", "T"]


def test_stacks_add_up_on_both_sides_of_the_axis_with_the_largest_outside():
    matrix = np.array([[1.0, 3.0, -2.0, -0.5], [0.0, np.nan, 4.0, 0.0]])
    placed = letter_stacks(matrix, tuple("ACGT"), start=5)
    found = {
        (letter, int(place)): (low, high)
        for letter, place, low, high in zip(placed.letters, placed.positions, placed.bottoms, placed.tops, strict=True)
    }
    assert found == {
        ("A", 5): (0.0, 1.0), ("C", 5): (1.0, 4.0), ("T", 5): (0.0, -0.5), ("G", 5): (-0.5, -2.5), ("G", 6): (0.0, 4.0),
    }  # fmt: skip


def test_plotly_and_matplotlib_draw_the_same_points():
    placed = letter_row("GATTACA", np.arange(-3.0, 4.0))
    traces = {trace.name: np.stack([trace.x, trace.y], 1) for trace in plot_letters(placed)}
    for patch in draw_letters(plt.subplots()[1], placed):
        drawn = traces[patch.get_label().removeprefix("_")]
        assert np.array_equal(patch.get_path().vertices, drawn[~np.isnan(drawn[:, 0])])


def test_each_contour_of_a_matplotlib_path_begins_anew():
    patch = draw_letters(plt.subplots()[1], letter_row("AA", np.ones(2)))[0]
    assert (patch.get_path().codes == Path.MOVETO).sum() == 4


def test_the_number_of_traces_is_that_of_different_letters():
    sequence = "ACGTN" * 200
    assert [trace.name for trace in plot_letters(letter_row(sequence, np.ones(1000)))] == list("ACGNT")


def test_limits_hold_all_letters_and_zero():
    low, high = height_limits(letter_row("AC", np.array([2.0, -1.0])))
    assert low < -1
    assert high > 2
    assert height_limits(letter_row("AC", np.array([2.0, 1.0])))[0] == 0
    assert height_limits(letter_row("AC", np.array([np.nan, 0.0]))) == (0, 1)
