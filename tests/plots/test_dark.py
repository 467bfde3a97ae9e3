"""Whatever is written on a figure of the dark theme can be read there."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from genomic_lens.plots import (
    draw_attribution,
    draw_filters,
    draw_hidden_attention,
    draw_motif,
    draw_scores,
    set_theme,
)
from genomic_lens.plots.curves import Curve, Panel, draw_panels
from genomic_lens.records import Score


def luminance(colour):
    """Relative luminance of a colour (WCAG 2)."""
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(one, two):
    bright, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def curves():
    line = Curve(np.arange(1, 100), np.arange(1, 100) ** 2.0, "all", "#56B4E9")
    draw_panels([Panel("Curves", "lag (bases)", "share", [line], log="xy", marks={3.0: "codon"})])


@pytest.fixture(params=["attribution", "attention", "own Axes", "filters", "motif", "scores", "curves"])
def drawn(request, donor, looks, bank, motif):
    set_theme("dark")
    draw = {
        "attribution": lambda: draw_attribution(donor),
        "attention": lambda: draw_hidden_attention(looks, log=True),
        "own Axes": lambda: draw_hidden_attention(looks, plt.subplots()[1]),
        "filters": lambda: draw_filters(bank),
        "motif": lambda: draw_motif(motif),
        "scores": lambda: draw_scores({"mcc": Score("mcc", 0.7, 0.6, 0.8)}, {"3-mers": {"mcc": 0.4}}),
        "curves": curves,
    }
    draw[request.param]()
    figure = plt.gcf()
    figure.canvas.draw()
    return figure


def test_text_stands_out_from_the_figure(drawn):
    ground = drawn.get_facecolor()
    texts = [text for text in drawn.findobj(Text) if text.get_visible() and text.get_text().strip()]
    assert len(texts) > 3
    faint = {text.get_text(): contrast(text.get_color(), ground) for text in texts}
    assert min(faint.values()) > 4.5, min(faint, key=faint.get)


def test_ticks_stand_out_from_the_figure(drawn):
    ground = drawn.get_facecolor()
    ticks = [line for ax in drawn.axes for axis in (ax.xaxis, ax.yaxis) for line in axis.get_ticklines()]
    ticks += [line for ax in drawn.axes for axis in (ax.xaxis, ax.yaxis) for line in axis.get_minorticklines()]
    assert min(contrast(line.get_color(), ground) for line in ticks) > 1.5
