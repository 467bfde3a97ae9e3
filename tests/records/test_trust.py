"""Trust records: p-values and gains by hand, a report that survives its file, and words that match the verdicts."""

from dataclasses import replace

import numpy as np
import pytest

from genomic_lens.errors import DataError
from genomic_lens.records import Cascade, PerturbationCurves, Record, TrustCheck, TrustReport

SHARES = np.array([0.0, 0.5, 1.0])


def curves(insertion, deletion, random):
    """One sequence whose curves have these values in the middle, between 0 and 1."""
    return PerturbationCurves(
        ("ACGT",), ("donor",), SHARES, np.array([[0, insertion, 1.0]]), np.array([[1, deletion, 0.0]]),
        np.array([[[0, value, 1.0]] for value in random]), "exact", "shuffles", 2, 3, "ab",
    )  # fmt: skip


def check(name="completeness", verdict="holds", **changes):
    given = {"value": 1e-7, "holds": 1e-4, "doubtful": 1e-2, "better": "low", "sentence": "The gap is small."}
    return TrustCheck(name, "Do they add up?", verdict, **given | changes)


def report(**parts):
    failed, unasked = check("null", "fails", value=0.9), check("chunks", "not asked", value=np.nan)
    checks = (check(numbers={"gap": [1e-7, 0.0]}), failed, unasked)
    return TrustReport(("ACGT", "GG"), ("donor", "donor"), checks, "exact", "shuffles", 20, 7, "ab", **parts)


def test_gains_are_areas_between_the_curves_and_the_mean_of_random_orders():
    """Trapezoids over three points: an area is half of the middle value and a quarter."""
    found = curves(0.9, 0.2, [0.4, 0.6]).gains
    assert found["insertion"] == pytest.approx(0.5 * (0.9 - 0.5))
    assert found["deletion"] == pytest.approx(0.5 * (0.5 - 0.2))


@pytest.mark.parametrize(
    ("insertion", "deletion", "expected"),
    [(0.9, 0.1, (0.25, 0.25)), (0.5, 0.5, (0.75, 0.5)), (0.1, 0.9, (1.0, 1.0)), (0.6, 0.4, (0.5, 0.5))],
)
def test_p_values_count_the_random_orders_that_do_as_well(insertion, deletion, expected):
    found = curves(insertion, deletion, [0.4, 0.55, 0.6]).p_values
    assert (found["insertion"], found["deletion"]) == expected


def test_the_table_of_curves_reads_random_orders_from_both_ends():
    table = curves(0.9, 0.1, [0.2, 0.4]).to_dataframe()
    assert table["random_insertion"].tolist() == pytest.approx([0, 0.3, 1])
    assert table["random_deletion"].tolist() == pytest.approx([1, 0.3, 0])
    assert table["target"].tolist() == ["donor"] * 3


def test_what_is_left_of_a_cascade_is_the_mean_of_its_last_row():
    cascade = Cascade(("head", "layer"), np.array([[0.9, 0.7], [0.2, 0.4]]), np.zeros((2, 2)))
    assert cascade.final == pytest.approx(0.3)
    assert cascade.to_dataframe()["lowest"].tolist() == [0.7, 0.2]


@pytest.mark.parametrize("full", [False, True])
def test_a_report_comes_back_from_its_file_with_its_parts(tmp_path, full):
    parts = {}
    if full:
        cascade = Cascade(("head", "layer"), np.array([[0.9], [0.2]]), np.array([[0.1], [0.0]]), "exact", 3, "ab")
        parts = {"curves": curves(0.9, 0.1, [0.2, 0.4]), "cascade": cascade}
    before = report(**parts)
    again = TrustReport.load(before.save(tmp_path / "trust.npz"))
    assert str(again) == str(before)
    assert again.to_dict().keys() == before.to_dict().keys()
    assert again.checks[:2] == before.checks[:2]
    assert np.isnan(again["chunks"].value)
    for name in ("curves", "cascade"):
        was, now = getattr(before, name), getattr(again, name)
        assert type(now) is type(was)
        if isinstance(was, Record):
            np.testing.assert_equal(now.to_dict(), was.to_dict())
            assert again.cascade.final == before.cascade.final


def test_each_part_can_be_saved_alone(tmp_path):
    cascade = Cascade(("a",), np.ones((1, 1)), np.ones((1, 1)))
    for number, part in enumerate((curves(0.9, 0.1, [0.2]), check(), cascade)):
        again = type(part).load(part.save(tmp_path / f"{number}.npz"))
        np.testing.assert_equal(again.to_dict(), part.to_dict())


def test_the_headline_counts_what_was_asked_and_names_what_does_not_hold():
    assert report().headline == "1 of 2 checks hold; fails: null"
    assert report().counts() == {"holds": 1, "doubtful": 0, "fails": 1, "not asked": 1}


def test_checks_are_found_by_name():
    assert report()["null"].verdict == "fails"
    assert report()["completeness"].to_dataframe()["value"].tolist() == [1e-7, 0.0]
    with pytest.raises(DataError, match="closest: completeness"):
        report()["complete"]


def test_the_table_has_a_row_a_check_and_the_text_a_line():
    assert report().to_dataframe()["verdict"].tolist() == ["holds", "fails", "not asked"]
    assert len(str(report()).splitlines()) == 4


def test_long_sentences_of_a_report_are_wrapped_below_their_beginning():
    whole = report()
    sentence = "Nine of ten sequences agree with what was measured. " * 6
    checks = tuple(replace(check, sentence=sentence) for check in whole.checks)
    lines = str(replace(whole, checks=checks)).splitlines()
    assert max(map(len, lines)) <= 100
    start = lines[1].index("Nine")
    assert lines[2][:start].isspace()
    assert lines[2][start] != " "
    assert " ".join(" ".join(lines[1:]).split()).count("Nine of ten sequences agree") == 6 * len(checks)
