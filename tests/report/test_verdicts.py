"""Verdicts in a page: marks, words and colours agree, text stays text, and the colours can be read."""

import re

import numpy as np
import pytest

from genomic_lens.records import TrustCheck, TrustReport
from genomic_lens.records.trust import VERDICTS
from genomic_lens.report import Section, Verdicts, render_page
from genomic_lens.report.markup import asset
from genomic_lens.report.verdicts import MARKS

from .test_page import EVIL, Reader, colours, contrast


def check(verdict, **changes):
    given = {"name": "null", "question": "Is it?", "value": 0.2, "holds": 0.1, "doubtful": 1e-5, "better": "low"}
    return TrustCheck(verdict=verdict, **given | {"sentence": "It is.", "reason": "So."} | changes)


def report(*checks):
    return TrustReport(("ACGT",), ("donor",), checks)


def test_every_verdict_has_its_row_mark_and_word():
    page = Verdicts(report(*map(check, VERDICTS))).html("key")
    for verdict in VERDICTS:
        row = re.search(rf'<tr class="gl-verdict-{verdict.replace(" ", "-")}">(.*?)</tr>', page).group(1)
        assert f"{MARKS[verdict]}</span>{verdict}</td>" in row
        assert "<p>It is.</p>" in row
    assert len(set(MARKS.values())) == 4


def test_limits_are_told_with_their_reason():
    page = Verdicts(report(check("fails"), check("holds", better="high", value=np.nan))).html("key")
    assert "Holds up to 0.1, doubtful up to 1.00 × 10⁻⁵. So." in page
    assert "Holds from 0.1, doubtful from 1.00 × 10⁻⁵. So." in page


def test_text_stays_text():
    evil = check("holds", name=EVIL, question=EVIL, sentence=EVIL, reason=EVIL)
    page = Reader(render_page("Page", [Section("Trust", "", (Verdicts(report(evil)),))]))
    assert page.scripts == []
    assert not [tag for tag, attributes in page.tags if tag == "img" or "onerror" in attributes]
    assert page.text.count(EVIL) == 4


@pytest.mark.parametrize("dark", [False, True])
def test_verdicts_can_be_read_on_their_ground(dark):
    page, own = asset("page.css"), asset("verdicts.css")
    tokens = colours(page.split("prefers-color-scheme: dark")[1] if dark else page, ":root")
    fails = re.findall(r"--gl-fail: (#[0-9a-f]{6})", own)[dark]
    for ink in (fails, tokens["--jp-success-color1"], tokens["--jp-warn-color1"], tokens["--jp-ui-font-color2"]):
        assert contrast(ink, tokens["--jp-layout-color0"]) >= 4.5


def test_a_page_holds_the_style_once():
    part = Verdicts(report(check("holds")))
    page = render_page("Page", [Section("One", "", (part, part))])
    assert page.count("Checks of an explanation, one row each") == 1
    assert 'id="part-0-0"' in page
    assert 'id="part-0-1"' in page
