"""A page in a real browser: what is drawn, where the cursor stands, and that nothing complains."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import numpy as np
import plotly.graph_objects as go
import pytest
from matplotlib.figure import Figure as Drawing

from genomic_lens.records import Substitutions
from genomic_lens.report import Figure, Lens, Section, write_page

from .synthetic import lens

EMPTY = {"meta", "link", "img", "input", "br", "hr"}
PANELS = {"prediction", "track", "attention", "filters", "motifs"}
OTHERS = {"substitutions"}
BROWSER = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(not BROWSER, reason="no chromium on PATH; set CHROMIUM to its path")


@dataclass
class Element:
    """One element of a document: the panel it lies in, and the text right inside it."""

    panel: str | None
    tag: str
    attributes: dict
    text: str = ""

    @property
    def looks(self):
        return (self.attributes.get("class") or "").split()


class Reader(HTMLParser):
    """All elements of a document, in its order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        element = Element(self.open[-1].panel if self.open else None, tag, dict(attributes))
        element.panel = next((name for name in PANELS | OTHERS if f"gl-{name}" in element.looks), element.panel)
        self.elements.append(element)
        if tag not in EMPTY:
            self.open.append(element)

    def handle_endtag(self, tag):
        while self.open and self.open.pop().tag != tag:
            pass

    def handle_data(self, data):
        if self.open:
            self.open[-1].text += data

    def find(self, look, panel=None):
        """Elements with a class, in one panel or anywhere."""
        return [element for element in self.elements if look in element.looks and panel in (None, element.panel)]

    def tags(self, tag):
        return [element for element in self.elements if element.tag == tag]


@pytest.fixture
def browse(tmp_path):
    """Opens a page written by `write_page` and gives its elements after the scripts have run, and the console."""

    def run(sections, fragment=""):
        path = write_page(tmp_path / "page.html", "A page", sections)
        command = [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1300,900",
            "--virtual-time-budget=8000", "--dump-dom", path.as_uri() + fragment,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return Reader(done.stdout), console

    return run


def page_of(part):
    return [Section("A lens", "One sequence, one cursor.", (part,))]


def status(page):
    return page.find("gl-status")[0].text


@needs_browser
def test_the_address_sets_the_cursor_in_every_panel(browse):
    page, console = browse(page_of(lens(views=2)), "#sequence=1&base=31")
    marked = [element for element in page.elements if "data-cursor" in element.attributes]
    assert {element.panel for element in marked} >= PANELS
    assert {element.attributes["data-cursor"] for element in marked} == {"31"}
    assert status(page).startswith("base 31 · T · +2 from the junction · contribution +")
    assert page.find("gl-count")[0].text == "2 of 2"
    assert console == []


@needs_browser
def test_without_an_address_the_cursor_stands_behind_the_origin(browse):
    page, console = browse(page_of(lens(views=1)))
    assert status(page).startswith("base 30 · G · +1 from the junction")
    assert console == []


@needs_browser
def test_an_address_beyond_the_sequence_stops_at_its_end(browse):
    page, _ = browse(page_of(lens(views=1)), "#sequence=7&base=999")
    assert status(page).startswith("base 59 · ")


@needs_browser
def test_the_tallest_letter_is_the_base_that_contributes_most(browse):
    shown = lens(views=1)
    view = shown.views[0]
    page, _ = browse(page_of(shown))
    best = int(np.nanargmax(view.attributions[0].values))
    letters = [element for element in page.elements if element.panel == "track" and "transform" in element.attributes]
    letters = [element for element in letters if element.looks[0].startswith("gl-base-")]
    tallest = max(letters, key=height)
    assert tallest.looks == [f"gl-base-{view.prediction.sequence[best]}"]
    lowest = min(letters, key=height)
    worst = int(np.nanargmin(view.attributions[0].values))
    assert lowest.looks == [f"gl-base-{view.prediction.sequence[worst]}", "gl-below"]
    step = width(tallest) / 0.94
    assert (left(tallest) - left(lowest)) / step == pytest.approx(best - worst, abs=0.01)


def numbers(element):
    """Left, top, width and signed height of a letter, from its place."""
    return [float(value) for value in re.findall(r"-?[\d.]+", element.attributes["transform"])]


def left(element):
    return numbers(element)[0]


def width(element):
    return numbers(element)[2] * 100


def height(element):
    return numbers(element)[3]


@needs_browser
def test_substitutions_are_read_at_the_cursor_and_hidden_where_there_are_none(browse):
    """One planted effect: base 31 as C takes 0.4 from the first class; everything else leaves things as they are."""
    shown = lens(views=1)
    view = shown.views[0]
    sequence, labels, chances = view.prediction.sequence, view.prediction.labels, view.prediction.probabilities
    planted = np.tile(chances, (len(sequence), 4, 1))
    planted[31, 1] += [-0.4, 0.4, 0.0]
    changed = replace(view, substitutions=Substitutions(sequence, ("A", "C", "G", "T"), labels, planted))
    page, console = browse(page_of(replace(shown, views=(changed,))), "#base=31")
    assert f"C {chances[0] - 0.4:.3f} (−0.400)" in page.find("gl-readout", "substitutions")[0].text
    (strongest,) = [element.text for element in page.tags("strong") if element.panel == "substitutions"]
    assert strongest == f"strongest change {sequence[31]}→C at base 31: −0.400"
    cells = [element.attributes["style"] for element in page.find("gl-cell", "substitutions")]
    assert len(cells) == 240
    assert len(set(cells)) == 2
    assert cells.count(cells[60 + 31]) == 1, "the second row is C"
    assert console == []
    page, _ = browse(page_of(shown))
    (hidden,) = page.find("gl-substitutions")
    assert "hidden" in hidden.attributes


@needs_browser
def test_masked_bases_are_hatched_not_zero(browse):
    page, _ = browse(page_of(lens(views=1)), "#base=0")
    assert len(page.find("gl-hatch", "track")) == 2
    assert status(page).startswith("base 0 · ")
    assert "masked" in status(page)
    assert "contribution" not in status(page)


@needs_browser
def test_honesty_figures_are_read_from_the_records(browse):
    shown = lens(views=1)
    view = shown.views[0]
    poor = replace(view.attributions[0], gap=0.1)
    part = replace(view.attention[0], share=0.47)
    page, _ = browse(page_of(replace(shown, views=(replace(view, attributions=(poor,), attention=(part,)),))))
    assert page.find("gl-poor", "track")[0].text.startswith("! does not add up: ")
    shares = [element.text for element in page.tags("strong") if element.panel == "attention"]
    assert shares == ["shows 47 % of the Jacobian"]


@needs_browser
def test_a_map_of_sixty_bases_has_their_letters_at_both_axes(browse):
    shown = lens(views=1)
    page, _ = browse(page_of(shown))
    letters = [element.text for element in page.find("gl-named", "attention")]
    assert letters == 2 * list(shown.views[0].prediction.sequence)


@needs_browser
def test_filters_that_do_not_fade_have_no_bracket_and_say_so(browse):
    shown = lens(views=1)
    page, _ = browse(page_of(shown))
    assert [element.attributes["d"] for element in page.find("gl-reach", "track")] != [""]
    flat = tuple(replace(bank, reach=np.full(len(bank.reach), len(bank.lags) - 3)) for bank in shown.filters)
    page, _ = browse(page_of(replace(shown, filters=flat)))
    assert "do not fade within the" in next(
        element.text for element in page.tags("strong") if element.panel == "filters"
    )
    assert [element.attributes["d"] for element in page.find("gl-reach", "track")] == [""]


@needs_browser
def test_a_row_names_the_base_that_it_draws_on(browse):
    shown = lens(views=1)
    view = shown.views[0]
    weights = np.zeros((60, 60))
    weights[31, 29] = 2.0
    weights[50, 10] = 16.0  # the peak, so that 2 is half of its cube root
    planted = replace(view.attention[0], weights=weights)
    page, _ = browse(page_of(replace(shown, views=(replace(view, attention=(planted,)),))), "#base=31")
    base, looked = view.prediction.sequence[31], view.prediction.sequence[29]
    told = page.find("gl-readout", "attention")[0].text
    assert told == f"Base 31 ({base}) draws most on base 29 ({looked}): 2.00."


@needs_browser
def test_figures_are_rounded_as_a_reader_expects(browse):
    shown = lens(views=1)
    view = shown.views[0]
    planted = []
    for record, value in zip(view.attributions, (999.96, -0.00012, 0.0), strict=False):
        values = record.values.copy()
        values[31] = value
        planted.append(replace(record, values=values, gap=3e-5))
    maps = (replace(view.attention[0], share=0.9987),)
    view = replace(view, attributions=tuple(planted), attention=maps)
    page, _ = browse(page_of(replace(shown, views=(view,))), "#base=31")
    notes = [element.text for element in page.find("gl-adds")]
    assert notes == ["+1,000 from base 31", "−1.2 × 10⁻⁴ from base 31", "0 from base 31"]
    assert page.find("gl-good", "track")[0].text == "✓ adds up to 99.997 %"
    assert "shows 99.9 % of the Jacobian" in [element.text for element in page.tags("strong")]


@needs_browser
def test_what_is_missing_is_said_in_its_own_panel(browse):
    view = replace(lens(views=1).views[0], attributions=(), attention=(), annotations=(), origin_name="")
    page, console = browse(page_of(Lens((view,))), "#base=3")
    assert page.find("gl-none", "attention")[0].text == "No hidden attention was computed for this sequence."
    assert len(page.find("gl-none")) == 3
    assert status(page) == f"base 3 · {view.prediction.sequence[3]}"
    assert console == []


@needs_browser
def test_long_sequences_are_drawn_as_bars(browse):
    page, console = browse(page_of(lens(views=1, length=600, junction=300)), "#base=300")
    drawn = [element for letter in "ACGT" for element in page.find(f"gl-base-{letter}", "track")]
    assert 4 <= len(drawn) <= 8  # one path a letter and sign, not one a base
    assert not any("transform" in element.attributes for element in drawn)
    assert console == []


@needs_browser
def test_names_are_text_and_never_markup(browse):
    shown = lens(views=1, name='<script>document.title="broken"</script><img src=x onerror=alert(1)>')
    page, console = browse(page_of(replace(shown, title="<b>bold</b>")))
    assert not page.tags("img") + page.tags("b")
    assert page.tags("title")[0].text == "A page"
    assert page.tags("option")[0].text == shown.views[0].name
    assert page.find("gl-title")[0].text == "<b>bold</b>"
    assert console == []


@needs_browser
def test_figures_of_both_libraries_are_drawn_without_the_network(browse):
    drawing = Drawing(figsize=(4, 2))
    drawing.subplots().set_title("held-out loss")
    live = go.Figure(go.Heatmap(z=np.eye(3)))
    parts = (Figure(drawing, alt="A loss curve."), Figure(live, alt="A diagonal."))
    page, console = browse([Section("Figures", "Two of them.", parts)])
    assert "held-out loss" in [element.text for element in page.tags("text")]
    assert page.find("main-svg")
    assert console == []


def test_two_dozen_sequences_stay_well_below_two_megabytes(tmp_path):
    for length in (60, 200):
        part = lens(views=24, length=length, junction=length // 2)
        assert write_page(tmp_path / "page.html", "Many", page_of(part)).stat().st_size < 1_600_000
