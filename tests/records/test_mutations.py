"""Records of edits: what is worked out from changes of outputs, and that files keep it."""

from dataclasses import replace

import numpy as np
import pytest

from genomic_lens.records import DependencyMap, MotifEffect, MotifSpacing, Mutagenesis, RegionEffects

LETTERS = tuple("ACGT")


@pytest.fixture
def edits():
    """Bases 2–5 of a sequence, of which the last is masked; outputs of the letters of the first are 1, 2, 4 and 5."""
    substitutions = np.array([[-3.0, -2, 0, 1], [0, 0, 0, 0], [np.nan] * 4])
    insertions, deletions = np.arange(12.0).reshape(3, 4), np.array([-1.0, 0.5, np.nan])
    return Mutagenesis(
        "TTgUNA", (2, 5), LETTERS, "donor", 4.0, substitutions, insertions, deletions, "whole", False, "ab"
    )


def test_letters_are_found_whatever_their_case_and_in_rna(edits):
    stands = edits.stands_there()
    assert [LETTERS[row.argmax()] for row in stands[:2]] == ["G", "T"]
    assert not stands[2].any()


def test_hypothetical_contributions_are_outputs_less_their_mean(edits):
    np.testing.assert_allclose(edits.hypothetical()[0], np.array([1, 2, 4, 5]) - 3)
    np.testing.assert_allclose(edits.contributions(), [1, 0, np.nan])


def test_the_mean_effect_is_over_the_other_letters(edits):
    np.testing.assert_allclose(edits.mean_effects, [(-3 - 2 + 1) / 3, 0, np.nan])


def test_hypothetical_contributions_do_not_depend_on_the_letter_that_stands_there(edits):
    """A letter's outputs are the same whichever letter they are compared with."""
    other = replace(edits, sequence="TTAUNA", substitutions=edits.substitutions - edits.substitutions[:, :1])
    np.testing.assert_allclose(other.hypothetical(), edits.hypothetical())
    assert other.contributions()[0] == pytest.approx(-2)


def test_the_table_has_a_row_an_edit_at_its_place(edits):
    table = edits.to_dataframe()
    assert len(table) == 3 * (4 + 4 + 1)
    row = table[(table.kind == "substitution") & (table.letter == "T") & (table.position == 2)]
    assert row[["base", "change"]].to_numpy().tolist() == [["g", 1.0]]
    assert table[table.kind == "insertion"].change.tolist() == list(range(12))
    assert table[table.kind == "deletion"].letter.unique().tolist() == [""]


def test_kinds_that_were_not_asked_for_are_missing_also_in_the_file(edits, tmp_path):
    alone = replace(edits, substitutions=None, insertions=None)
    again = Mutagenesis.load(alone.save(tmp_path / "deletions.npz"))
    assert again.kinds == ("deletions",)
    assert again.substitutions is None
    assert again.to_dataframe().kind.unique().tolist() == ["deletion"]


def test_records_come_back_as_they_were(edits, tmp_path):
    spans, zeros = np.array([[0, 2], [2, 6]]), np.zeros(3)
    records = [
        edits,
        DependencyMap("TTGTNA", (1, 3), np.array([[np.nan, 2.0], [1.0, np.nan]]), "log-odds", "base", "whole", "ab"),
        RegionEffects("TTGTNA", spans, np.array([1.0, np.nan]), np.zeros(2), "donor", 1.0, "ablation", "N", 5, 3),
        MotifEffect("GATA", 3, zeros, zeros + 2, "donor", "3 sequences given", 1, "ab"),
        MotifSpacing(
            ("GA", "TC"), np.array([0]), np.array([[3, 5]]), zeros, np.ones((2, 1, 3)), np.ones((1, 3)), "donor"
        ),
    ]
    for number, record in enumerate(records):
        again = type(record).load(record.save(tmp_path / f"{number}.npz"))
        np.testing.assert_equal(again.to_dict(), record.to_dict())
        assert len(again.to_dataframe()) == len(record.to_dataframe())


def test_a_map_is_a_table_of_pairs():
    record = DependencyMap("TTGT", (1, 3), np.array([[0.0, 2.0], [1.0, 0.0]]), "log-odds")
    table = record.to_dataframe().set_index(["changed", "looked_at"]).dependency
    assert (table[1, 2], table[2, 1]) == (2, 1)


def test_a_motif_does_on_average_what_it_changes():
    record = MotifEffect("GATA", 0, np.array([0.0, 1.0]), np.array([1.0, 4.0]), "donor")
    assert (record.effect, record.spread) == (2, 1)
    assert record.to_dataframe().change.tolist() == [1, 3]


def test_interaction_is_what_is_left_of_both_beyond_each_alone():
    before, alone = np.array([1.0, 2.0]), np.array([[[2.0, 3.0]], [[1.5, 2.5]]])
    record = MotifSpacing(
        ("GA", "TC"), np.array([4]), np.array([[0, 6]]), before, alone, np.array([[5.0, 7.0]]), "donor"
    )
    np.testing.assert_allclose(record.effects, [[4, 5]])
    np.testing.assert_allclose(record.singles, [[1.5, 1.5]])
    np.testing.assert_allclose(record.interaction, [[2.5, 3.5]])
    row = record.to_dataframe().iloc[0]
    assert (row.interaction, row.interaction_spread) == (3, 0.5)
