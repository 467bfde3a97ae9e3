"""Motifs: consensus letters and averages that can be worked out by hand."""

import numpy as np
import pytest

from genomic_lens.errors import DataError
from genomic_lens.interpretability.motifs.aligned_motifs import aligned_motif, consensus
from genomic_lens.records import Attribution


def made_up(sequence, values, **options):
    how = {"target": "donor", "method": "by hand", "baseline": "none", "letters": tuple("ACGT")} | options
    return Attribution(sequence, np.array(values, dtype=float), output=1.0, reference_output=0.0, gap=0.0, **how)


@pytest.mark.parametrize(
    ("row", "letter"),
    [
        ([0, 0, 1.0, 0], "G"),
        ([0, 0.5, 0, 1.0], "Y"),  # half as much is enough to share the place
        ([0, 0.49, 0, 1.0], "T"),
        ([0.9, 0, 1.0, 0], "R"),
        ([0, 1.0, 0.8, 0], "S"),
        ([1.0, 0, 0, 0.8], "W"),
        ([0, 0, 1.0, 0.8], "K"),
        ([1.0, 0.8, 0, 0], "M"),
        ([0, 1.0, 1.0, 1.0], "B"),
        ([1.0, 1.0, 0, 1.0], "H"),
        ([1.0, 1.0, 1.0, 1.0], "N"),
        ([0, 0, 0.25, 0], "G"),  # a quarter of the largest is still strong
        ([0, 0, 0.24, 0], "g"),
        ([0, 0.2, 0, 0.15], "y"),
        ([0, 0, 0.05, 0], "n"),  # a twentieth is nothing
        ([0, 0, 0.06, -0.9], "g"),
        ([0, 0, 0, 0], "n"),
        ([-1.0, -0.5, -0.2, -0.1], "n"),  # no letter helps
    ],
)
def test_consensus_letter_beside_a_height_of_one(row, letter):
    assert consensus(np.array([[1.0, 0, 0, 0], row]), "ACGT") == "A" + letter


@pytest.mark.parametrize("height", [0.0, -1.0])
def test_a_motif_that_nothing_helps_has_no_letters(height):
    assert consensus(np.full((3, 4), height), "ACGT") == "nnn"


def test_limits_are_the_callers():
    rows = np.array([[1.0, 0, 0, 0], [0, 0.3, 0, 0.2]])
    assert consensus(rows, "ACGT", partner=0.9) == "AC"
    assert consensus(rows, "ACGT", strong=0.5) == "Ay"
    assert consensus(rows, "ACGT", weak=0.4) == "An"


def test_an_average_by_hand():
    """Two columns of three sequences: G in two of them with 1.0 and 0.5, A in one with 0.3, so 0.5 and 0.1."""
    records = [made_up("CGT", [9, 1.0, 0.2]), made_up("CGA", [9, 0.5, 0.4]), made_up("CAT", [9, 0.3, 0.7])]
    motif = aligned_motif(records, "site", 1, 3, origin=2)
    np.testing.assert_allclose(motif.contributions, [[0.1, 0, 0.5, 0], [0.4 / 3, 0, 0, 0.3]])
    np.testing.assert_allclose(motif.frequencies, [[1 / 3, 0, 2 / 3, 0], [1 / 3, 0, 0, 2 / 3]])
    assert motif.consensus == "GT"
    assert (motif.name, motif.start, motif.sequences, motif.letters) == ("site", -1, 3, tuple("ACGT"))
    assert (motif.method, motif.baseline) == ("by hand", "none")


def test_the_matrix_sums_to_the_mean_contribution():
    """Whatever the letters are: nothing is lost between the attributions and the logo."""
    generator = np.random.default_rng(0)
    records = [made_up("".join(generator.choice(list("ACGT"), 12)), generator.normal(size=12)) for _ in range(20)]
    motif = aligned_motif(records, "site", 2, 9)
    expected = np.mean([record.values[2:9] for record in records], axis=0)
    np.testing.assert_allclose(motif.contributions.sum(1), expected, atol=1e-7)
    np.testing.assert_allclose(motif.frequencies.sum(1), 1)


def test_masked_bases_count_for_no_letter():
    """N has no contribution; the frequencies are those of the sequences in which the base is known."""
    motif = aligned_motif([made_up("GN", [1, np.nan]), made_up("GT", [1, 0.8])], "site", 0, 2)
    np.testing.assert_allclose(motif.contributions, [[0, 0, 1, 0], [0, 0, 0, 0.4]])
    np.testing.assert_allclose(motif.frequencies, [[0, 0, 1, 0], [0, 0, 0, 1]])


def test_case_does_not_matter():
    motif = aligned_motif([made_up("gt", [1, 1]), made_up("GT", [1, 1])], "site", 0, 2)
    np.testing.assert_allclose(motif.frequencies, [[0, 0, 1, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    "other",
    [
        {"method": "integrated gradients"},
        {"baseline": "zero embedding"},
        {"target": "acceptor"},
        {"letters": tuple("ACGU")},
    ],
)
def test_attributions_of_two_kinds_are_refused(other):
    with pytest.raises(DataError, match="of 2 kinds came; expected one"):
        aligned_motif([made_up("GT", [1, 1]), made_up("GT", [1, 1], **other)], "site", 0, 2)


def test_no_attributions_are_refused():
    with pytest.raises(DataError, match="of 0 kinds came"):
        aligned_motif([], "site", 0, 2)


@pytest.mark.parametrize("span", [(0, 4), (2, 2), (2, 1), (-1, 2)])
def test_a_span_that_leaves_the_shortest_sequence_is_refused(span):
    with pytest.raises(DataError, match="the shortest of the sequences has 3"):
        aligned_motif([made_up("GTA", [1, 1, 1]), made_up("GTAC", [1, 1, 1, 1])], "site", *span)
