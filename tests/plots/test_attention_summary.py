"""Attention over the layers: means over heads and sequences, with the limit beside them."""

import numpy as np
import pytest

from genomic_lens.errors import DataError
from genomic_lens.plots import draw_attention_summary, plot_attention_summary, set_theme
from genomic_lens.plots.style import THEMES
from genomic_lens.plots.words import describe
from genomic_lens.records import AttentionSummary

from .conftest import words


def summary_of(entropy, heads=(-1, 0, 1), length=60):
    heads = np.array(heads)
    return AttentionSummary(
        np.array([0, 1, 1]), heads, ("norm", "weights", "weights"), np.array(entropy), np.full(3, 5.0),
        np.array([4.0, 10.0, 20.0]), np.array([0.5, 0.6, 0.8]), np.full(3, length), length, aggregation="per_head",
    )  # fmt: skip


def test_lines_are_means_and_dots_are_heads():
    figure = plot_attention_summary(summary_of([2.0, 3.0, 4.0]))
    dots, line, limit = [trace for trace in figure.data if trace.xaxis == "x"]
    assert dots.y.tolist() == [2, 3, 4]
    assert line.y.tolist() == [2, 3.5]
    assert limit.y.tolist() == [5, 5]
    share = [trace for trace in figure.data if trace.xaxis == "x3"][1]
    assert share.y == pytest.approx([50, 70])
    assert figure.layout.yaxis3.title.text == "share (%)"


def test_sequences_are_averaged_and_said():
    both = [summary_of([2.0, 3.0, 4.0]), summary_of([4.0, 5.0, 5.0], length=80)]
    figure = plot_attention_summary(both)
    assert figure.data[1].y.tolist() == [3, 4.25]
    for part in ("Attention: 3.62 bits", "2 sequences of 60–80 bases", "dots: heads and sequences", "value path"):
        assert part in figure.layout.title.text
    assert "up to 80 rows" in figure.layout.meta["alt"]


def test_a_single_map_a_layer_needs_no_dots():
    one = np.array([3.0])
    summary = AttentionSummary(np.array([0]), np.array([-1]), ("weights",), one, one, one, one, one, length=9)
    figure = plot_attention_summary(summary)
    assert [trace.name for trace in figure.data] == ["mean", "even rows", "mean", "mean"]
    assert "mean over heads" in figure.layout.title.text
    assert "dots" not in figure.layout.title.text


def test_paper_shows_the_same():
    axes = draw_attention_summary(summary_of([2.0, 3.0, 4.0]))
    assert axes[0].lines[1].get_ydata().tolist() == [2, 3.5]
    assert "Attention: 2.75 bits" in words(axes[0])
    assert [ax.get_ylim()[0] for ax in axes] == [0, 0, 0]
    assert (draw_attention_summary(summary_of([2.0, 3.0, 4.0]), axes) == axes).all()
    with pytest.raises(DataError, match="2 Axes came; pass three"):
        draw_attention_summary(summary_of([2.0, 3.0, 4.0]), axes[:2])


def test_alternative_text_names_the_widest_and_the_furthest():
    assert describe(summary_of([2.0, 3.0, 4.0])) == (
        "Attention of 2 layers over 60 bases has 2.75 bits of entropy on average, most in layer 1 (3.5); layer 1 looks "
        "furthest, 15 bases on average."
    )
    assert describe(summary_of([np.nan] * 3)).endswith("all bases are masked.")


def test_both_follow_the_theme_and_nothing_is_refused():
    set_theme("dark")
    assert plot_attention_summary(summary_of([2.0, 3.0, 4.0])).data[1].line.color == THEMES["dark"]["accent"]
    assert draw_attention_summary(summary_of([2.0, 3.0, 4.0]))[0].lines[1].get_color() == THEMES["dark"]["accent"]
    for function in (plot_attention_summary, draw_attention_summary):
        with pytest.raises(DataError, match="No summary came"):
            function([])
