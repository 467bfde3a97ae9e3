import base64
import hashlib
import json
import re

import numpy as np
import pytest
from matplotlib.figure import Figure as Drawing

from genomic_lens.report.markup import embed_json, format_number, png_markup, script_markup, svg_markup


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.951493, "0.951"), (0.5, "0.500"), (12.345, "12.3"), (99.96, "100"), (999.9, "1,000"), (131072.0, "131,000"),
        (131072, "131,072"), (np.int64(-1200), "−1,200"), (-0.25, "−0.250"), (0.0, "0"), (2.5e-7, "2.50 × 10⁻⁷"),
        (-3.21e12, "−3.21 × 10¹²"), (float("nan"), "–"), (float("-inf"), "−∞"),
    ],
)  # fmt: skip
def test_numbers_have_three_significant_figures(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize("name", ["</script><script>alert(1)</script>", "<!--<script>", "]]>", 'a"b\\c', "5′ \u2028"])
def test_embedded_json_cannot_end_its_element_and_reads_back(name):
    markup = embed_json({"name": name})
    inside = re.fullmatch(r'<script type="application/json">(.*)</script>', markup, flags=re.DOTALL).group(1)
    assert "<" not in inside
    assert json.loads(inside) == {"name": name}


def test_embedded_json_refuses_what_javascript_cannot_read():
    with pytest.raises(ValueError, match="not JSON compliant"):
        embed_json({"value": float("nan")})


def test_a_script_is_named_by_the_hash_of_exactly_its_text():
    element, source = script_markup("lens.js", "const end = '</script>';\r\nconst more = '</SCRIPT>';")
    text = re.fullmatch(r'<script type="module">(.*?)</script>', element, flags=re.DOTALL).group(1)
    assert "</script" not in text.lower()
    assert "\r" not in text
    assert source == f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@pytest.fixture
def drawing():
    figure = Drawing(figsize=(3, 2))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], marker="o")
    axes.set_title("loss & accuracy")
    return figure


def test_every_reference_in_an_svg_has_its_target(drawing):
    text = svg_markup(drawing, "part-1")
    ids = re.findall(r'\bid="([^"]+)"', text)
    used = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', text))
    assert len(ids) == len(set(ids))
    assert {name for pair in used for name in pair if name} <= set(ids)
    assert used
    assert all(name.startswith("part-1-") for name in ids)


def test_an_svg_keeps_its_words_and_styles_itself_only(drawing):
    text = svg_markup(drawing, "part-1")
    assert ">loss &amp; accuracy</text>" in text
    assert re.findall(r"([^{}<>]*)\{stroke-linejoin", text) == ["#part-1 *"]
    assert text == svg_markup(drawing, "part-1")


def test_formulas_are_outlines_because_their_fonts_are_rare(drawing):
    drawing.axes[0].set_xlabel(r"$\mathcal{L}$")
    text = svg_markup(drawing, "part-1")
    assert "<text" not in text
    assert 'id="part-1-text_' in text


def test_nothing_that_is_drawn_is_cut_off(drawing):
    drawing.axes[0].set_xlabel("far below", labelpad=200)
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg_markup(drawing, "part-1"))
    assert float(size[2]) > 2 * 72 + 150


def test_a_picture_has_twice_the_pixels_of_the_screen(drawing):
    markup = png_markup(drawing)
    data = base64.b64decode(re.search(r"base64,([^\"]+)", markup)[1])
    pixels = int.from_bytes(data[16:20], "big")
    assert pixels > 2 * 192
    assert re.search(r"width:(\d+)px", markup)[1] == f"{pixels / 2:.0f}"
