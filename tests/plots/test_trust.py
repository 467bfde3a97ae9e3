"""Trust figures: verdicts in their zones, curves where the numbers are, and the honesty figure in the title."""

import numpy as np
import pytest

from genomic_lens.errors import DataError
from genomic_lens.plots import set_theme
from genomic_lens.plots.trust import draw_trust, plot_trust, verdict_looks, zone_place
from genomic_lens.plots.trust_curves import draw_cascade, draw_perturbation, plot_cascade, plot_perturbation
from genomic_lens.plots.words import describe
from genomic_lens.records import Cascade, PerturbationCurves, TrustCheck, TrustReport

from .conftest import words


def check(name, verdict, value, holds=0.1, doubtful=0.3, better="low"):
    return TrustCheck(name, f"Is {name} well?", verdict, value, holds, doubtful, better, f"{name} was measured.")


@pytest.fixture
def report():
    checks = (
        check("completeness", "holds", 0.05), check("null", "fails", 0.6), check("chunks", "not asked", np.nan),
        check("baselines", "doubtful", 0.4, 0.5, 0.3, "high"),
    )  # fmt: skip
    return TrustReport(("ACGT", "GGTA"), ("donor", "donor"), checks, "exact", "shuffles")


@pytest.fixture
def curves():
    """Two sequences; put back, half of the bases carry all. Two random orders, below and above the diagonal."""
    shares = np.array([0, 0.5, 1.0])
    random = np.array([[[0, 0.3, 1.0]] * 2, [[0, 0.7, 1.0]] * 2])
    insertion, deletion = np.array([[0, 1, 1.0], [0, 0.8, 1.0]]), np.array([[1, 0, 0], [1, 0.2, 0]])
    return PerturbationCurves(("AC", "GT"), ("donor",) * 2, shares, insertion, deletion, random, "exact", "shuffles")


@pytest.fixture
def cascade():
    return Cascade(("head", "backbone.layers.0"), np.array([[0.6, 0.4], [0.1, -0.2]]), np.zeros((2, 2)), "exact", 3)


@pytest.mark.parametrize("better", ["low", "high"])
def test_zones_are_those_of_the_verdicts_at_their_limits(better):
    best, holds, doubtful, worst = (0, 0.2, 0.6, 1e6) if better == "low" else (1, 0.8, 0.4, -1)
    place = lambda value: zone_place(check("x", "", value, holds, doubtful, better))  # noqa: E731
    assert [place(value) for value in (best, holds, doubtful)] == pytest.approx([0, 1, 2])
    assert 2 < place(worst) <= 3
    assert place(np.nan) == 3.5
    assert place((holds + doubtful) / 2) == pytest.approx(1.5)


def test_every_check_stands_in_the_zone_of_its_verdict(report):
    expected = {"completeness": 0.5, "null": 2.5, "chunks": 3.5, "baselines": 1.5}
    found = {name: place for trace in plot_trust(report).data for name, place in zip(trace.y, trace.x, strict=True)}
    assert found == pytest.approx(expected)
    ax = draw_trust(report)
    names = [label.get_text() for label in ax.get_yticklabels()]
    points = [line.get_xydata()[0] for line in ax.lines if line.get_marker() not in (None, "None", "")]
    assert {names[int(row)]: place for place, row in points} == pytest.approx(expected)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_verdicts_differ_in_colour_and_mark(theme):
    set_theme(theme)
    for part in zip(*verdict_looks().values(), strict=True):
        assert len(set(part)) == 4


def test_values_and_limits_stand_beside_the_checks(report):
    told = [note.text for note in plot_trust(report).layout.annotations]
    assert told == ["0.05, holds up to 0.1", "0.6, holds up to 0.1", "", "0.4, holds from 0.5"]
    assert "0.4, holds from 0.5" in words(draw_trust(report))


def test_the_title_counts_what_holds_and_pointing_tells_the_sentence(report):
    figure = plot_trust(report)
    for title in (figure.layout.title.text, words(draw_trust(report)), figure.layout.meta["alt"]):
        assert "1 of 3 checks hold; doubtful: baselines; fails: null" in title
    assert figure.data[0].text == ("completeness was measured.",)


def test_a_report_without_checks_is_refused(report):
    empty = TrustReport(("ACGT",), ("donor",), ())
    for function in (plot_trust, draw_trust):
        with pytest.raises(DataError, match="no check"):
            function(empty)


def test_curves_are_means_over_sequences_beside_random_orders_from_both_ends(curves):
    found = {trace.name: list(trace.y) for trace in plot_perturbation(curves).data if trace.name}
    assert found["put back"] == pytest.approx([0, 0.9, 1])
    assert found["taken away"] == pytest.approx([1, 0.1, 0])
    drawn = {line.get_label(): line.get_ydata().tolist() for line in draw_perturbation(curves).lines}
    assert drawn["put back"] == pytest.approx([0, 0.9, 1])
    middles = [trace.y for trace in plot_perturbation(curves).data if trace.line.dash == "dot" and trace.name is None]
    assert [list(middle) for middle in middles] == [[0, 0.5, 1], [1, 0.5, 0]]


def test_gains_and_p_values_stand_in_the_title_of_the_curves(curves):
    for title in (plot_perturbation(curves).layout.title.text, words(draw_perturbation(curves))):
        assert "insertion +0.2, p = 0.33" in title
        assert "2 sequences" in title
        assert "90 % of 2 random orders" in title


def test_a_cascade_begins_at_one_and_falls_to_what_is_left(cascade):
    mean = plot_cascade(cascade).data[-1]
    assert list(mean.x) == ["as it is", "head", "+ layers.0"]
    assert list(mean.y) == pytest.approx([1, 0.5, -0.05])
    ax = draw_cascade(cascade)
    assert ax.lines[2].get_ydata().tolist() == pytest.approx([1, 0.5, -0.05])
    assert ax.get_ylim()[0] < -0.05
    assert "-0.05 is left at the end" in words(ax)


def test_words_say_what_was_found(report, curves, cascade):
    assert describe(report) == (
        "Checks of the explanation of 2 sequences (exact): 1 of 3 checks hold; doubtful: baselines; fails: null."
    )
    assert "insertion by 0.2 (p = 0.33) and deletion by 0.2 (p = 0.33)" in describe(curves)
    assert "0.50 after the weights of head are shuffled, -0.05 after those of all 2 parts are" in describe(cascade)
