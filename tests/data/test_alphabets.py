"""Complements and one-hot codes."""

import numpy as np
import pytest

from genomic_lens.data.alphabets import IUPAC_CODES, one_hot, reverse_complement

PAIRS = {"A": "T", "C": "G", "G": "C", "T": "A"}


@pytest.mark.parametrize(
    ("sequence", "other"),
    [("GATTACA", "TGTAATC"), ("AACGT", "ACGTT"), ("GAuUa", "tAaTC"), ("acgTN", "NAcgt"), ("RYKMSW", "WSKMRY"),
     ("BDHV", "BDHV"), ("", "")],
)  # fmt: skip
def test_reverse_complement_solved_by_hand(sequence, other):
    assert reverse_complement(sequence) == other


def test_twice_reversed_is_the_same_for_every_letter_but_u():
    letters = "ACGT" + "".join(IUPAC_CODES)
    both = letters + letters.lower()
    assert reverse_complement(reverse_complement(both)) == both
    assert reverse_complement(reverse_complement("U")) == "T"


def test_code_of_a_set_becomes_the_code_of_the_complements():
    for code, bases in IUPAC_CODES.items():
        other = reverse_complement(code)
        assert set(IUPAC_CODES[other]) == {PAIRS[base] for base in bases}


def test_one_hot_has_a_single_one_at_the_letter_and_none_for_ambiguity():
    np.testing.assert_array_equal(one_hot("GaN\xe9T"), [[0, 0, 1, 0], [1, 0, 0, 0], [0] * 4, [0] * 4, [0, 0, 0, 1]])
    np.testing.assert_array_equal(one_hot("UA", "AU"), [[0, 1], [1, 0]])
    assert one_hot("").shape == (0, 4)


def test_one_hot_of_the_other_strand_is_the_matrix_turned_both_ways():
    """With letters in the order A, C, G, T, complementing reverses the columns."""
    sequence = "ACGGTNAT"
    np.testing.assert_array_equal(one_hot(reverse_complement(sequence)), one_hot(sequence)[::-1, ::-1])
