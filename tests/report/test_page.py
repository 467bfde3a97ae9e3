import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from matplotlib.figure import Figure as Drawing

from genomic_lens.errors import DataError
from genomic_lens.report import Figure, Prose, Section, Table, render_page, write_page
from genomic_lens.report.markup import asset

EVIL = '"><script>alert(1)</script><img src=x onerror="alert(1)">'


class Reader(HTMLParser):
    """All start tags with their attributes, all executable scripts, and the text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.scripts, self.text, self.running = [], [], "", False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.running = tag == "script" and ("type", "application/json") not in attributes

    def handle_endtag(self, tag):
        self.running = False

    def handle_data(self, data):
        if self.running:
            self.scripts.append(data)
        self.text += data


def drawing(points=3):
    figure = Drawing(figsize=(3, 2))
    figure.subplots().plot(np.arange(points), np.sin(np.arange(points)), "o")
    return figure


def everything():
    frame = pd.DataFrame({EVIL: [EVIL, "b"], "value": [0.5, np.nan]}, index=pd.Index(["x", EVIL], name=EVIL))
    parts = (Prose(f"{EVIL} `{EVIL}`"), Table(frame, caption=EVIL), Figure(drawing(), alt=EVIL, caption=EVIL))
    again = Section("Second", "", (Figure(drawing(), alt="again"),))
    return render_page(EVIL, [Section(EVIL, EVIL, parts), again], EVIL)


def test_text_stays_text_wherever_it_comes_from():
    page = Reader(everything())
    assert page.scripts == []
    assert not [tag for tag, attributes in page.tags if tag == "img" or "onerror" in attributes]
    places = ["title", "h1", "subtitle", "nav", "h2", "sentence", "p", "code", "caption", "th", "th", "td", "td"]
    assert page.text.count(EVIL) == len([*places, "figcaption"])
    labels = [attributes["aria-label"] for _, attributes in page.tags if "aria-label" in attributes]
    assert labels.count(EVIL) == 2


def test_nothing_is_fetched_from_anywhere():
    page = everything()
    addresses = [
        value
        for tag, attributes in Reader(page).tags
        for name, value in attributes.items()
        if name.split(":")[-1] in ("src", "href", "srcset", "action", "poster", "data", "background")
    ]
    assert addresses
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert all(inside.strip("'\"").startswith(("#", "data:")) for inside in re.findall(r"url\(([^)]*)\)", page))
    assert "@import" not in page


def policy_of(page):
    (policy,) = [attributes["content"] for tag, attributes in Reader(page).tags if "http-equiv" in attributes]
    return dict(part.strip().split(" ", 1) for part in policy.split(";"))


def test_the_policy_lets_run_what_the_page_brings_and_nothing_else():
    live = Figure(go.Figure(go.Bar(y=[1, 2])), alt="Two bars.")
    page = render_page("Live", [Section("One", "", (live, live)), Section("Two", "", (live,))])
    scripts = Reader(page).scripts
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts}
    policy = policy_of(page)
    assert len(scripts) == 2  # plotly once, and the one that starts its figures
    assert set(policy["script-src"].split()) == hashes
    assert policy["default-src"] == "'none'"
    assert policy["img-src"] == "data:"
    assert policy_of(everything())["script-src"] == "'none'"


def test_a_page_can_be_read_by_those_who_cannot_see_it():
    tags = Reader(everything()).tags
    headings = [tag for tag, _ in tags if re.fullmatch(r"h\d", tag)]
    assert ("html", {"lang": "en"}) in tags
    assert headings == ["h1", "h2", "h2"]
    assert [attributes["aria-label"] for _, attributes in tags if attributes.get("role") == "img"] == [EVIL, "again"]
    links = {attributes["href"][1:] for tag, attributes in tags if tag == "a"}
    assert links == {attributes["id"] for tag, attributes in tags if tag == "section"}


def test_names_in_a_page_are_unique():
    ids = [attributes["id"] for _, attributes in Reader(everything()).tags if "id" in attributes]
    assert len(ids) > 20
    assert len(ids) == len(set(ids))


def test_numbers_stand_right_and_words_left():
    numbers = {"loss": [0.123456, np.nan], "windows": [131072, 7]}
    frame = pd.DataFrame({"name": ["a", None], **numbers, "kept": [True, False]})
    rows = re.findall(r"<tr>(.*?)</tr>", Table(frame).html("t"))
    assert rows[1] == '<td>a</td><td class="gl-number">0.123</td><td class="gl-number">131,072</td><td>True</td>'
    assert rows[2].startswith('<td>–</td><td class="gl-number">–</td>')
    assert 'class="gl-number">loss</th>' in rows[0]
    assert rows[0].count("</th>") == 4


def test_paragraphs_and_code():
    assert Prose("One\nline.\n\n\n`a < b` two").html("p") == "<p>One\nline.</p>\n<p><code>a &lt; b</code> two</p>"


def test_figures_with_very_many_marks_become_pictures():
    small, large = Figure(drawing(10), alt="few").html("a"), Figure(drawing(8000), alt="many").html("b")
    assert "<svg" in small
    assert "<svg" not in large
    assert 'src="data:image/png;base64,' in large
    assert len(large) < 200_000


def test_the_same_input_gives_the_same_file(tmp_path):
    sections = [Section("A", "", (Figure(drawing(), alt="a"), Table(pd.DataFrame({"x": [1]}))))]
    path = write_page(tmp_path / "new" / "page.html", "Title", sections, subtitle="below")
    assert path.read_text(encoding="utf-8") == render_page("Title", sections, "below")
    assert [file.name for file in path.parent.iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Figure(drawing(), alt="  "), "without alternative text"),
        (lambda: Figure("loss.png", alt="A curve."), "of type str"),
        (lambda: Section("Scores", "", ("text",)), "'Scores' holds a str"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_a_reason(make, words):
    with pytest.raises(DataError, match=words):
        make()


def luminance(colour):
    """Relative luminance (Web Content Accessibility Guidelines 2.2, W3C, 2023)."""
    short = colour.lstrip("#")
    pairs = [short[at : at + 2] for at in (0, 2, 4)] if len(short) == 6 else [digit * 2 for digit in short]
    parts = [int(pair, 16) / 255 for pair in pairs]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one, two):
    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def colours(text, selector):
    """Tokens of the first rule with this selector."""
    rule = re.search(re.escape(selector) + r" \{(.*?)\}", text, flags=re.DOTALL).group(1)
    return dict(re.findall(r"(--[\w-]+): (#[0-9a-f]+);", rule))


@pytest.mark.parametrize("dark", [False, True])
def test_words_stand_out_from_their_ground(dark):
    page, lens = asset("page.css"), asset("lens.css")
    tokens = colours(page.split("prefers-color-scheme: dark")[1] if dark else page, ":root")
    grounds = [tokens[f"--jp-layout-color{level}"] for level in (0, 1)]
    theme = ".gl-dark" if dark else ""
    for selector in (f".gl-lens{theme}", f".gl-lens{theme}.gl-safe"):
        letters = colours(lens, selector)
        inks = [value for name, value in letters.items() if name.startswith("--gl-ink")]
        words = ("ui-font-color0", "ui-font-color1", "ui-font-color2", "brand-color1", "warn-color1", "success-color1")
        inks += [tokens[f"--jp-{name}"] for name in words]
        assert len(inks) == 10
        assert min(contrast(ink, ground) for ink in inks for ground in grounds) >= 4.5
