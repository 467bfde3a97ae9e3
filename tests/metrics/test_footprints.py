"""Information footprints: cases solved by hand, parity with scikit-learn, bias, masks, refusals, the lac promoter."""

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score, roc_auc_score

from genomic_lens.data import sample_card
from genomic_lens.data.samples import lac_promoter
from genomic_lens.errors import DataError
from genomic_lens.metrics import information_footprint, most_frequent, mutual_information


def bias(rows, columns, total):
    return (rows - 1) * (columns - 1) / (2 * total * np.log(2))


def random_letters(items, length, seed=0):
    letters = np.random.default_rng(seed).choice(list("ACGT"), size=(items, length))
    return ["".join(row) for row in letters], letters


# --- mutual information ---------------------------------------------------------------------------------------------


def test_tables_solved_by_hand():
    assert mutual_information(np.array([[8, 0], [0, 8]])) == pytest.approx(1 - bias(2, 2, 16))
    assert mutual_information(np.diag([4, 4, 4, 4])) == pytest.approx(2 - bias(4, 4, 16))
    assert mutual_information(np.array([[2, 4], [3, 6]])) == pytest.approx(-bias(2, 2, 15))
    # Three quarters of a fair coin's answers are right: 1 - H(3/4) bits.
    assert mutual_information(np.array([[3, 1], [1, 3]])) == pytest.approx(0.1887218755 - bias(2, 2, 8))


def test_without_the_correction_it_is_that_of_scikit_learn():
    generator = np.random.default_rng(1)
    rows, columns = generator.integers(5, size=400), generator.integers(3, size=400)
    counts = np.histogram2d(rows, columns, bins=(5, 3))[0]
    expected = mutual_info_score(rows, columns) / np.log(2)
    assert mutual_information(counts) + bias(5, 3, 400) == pytest.approx(expected)


def test_what_knows_nothing_shares_nothing_on_average_and_would_without_the_correction():
    generator = np.random.default_rng(2)
    shared = [
        mutual_information(np.histogram2d(*generator.integers(4, size=(2, 500)), bins=4)[0]) for _ in range(400)
    ]
    error = np.std(shared) / np.sqrt(len(shared))
    assert abs(np.mean(shared)) < 4 * error + bias(4, 4, 500) ** 2
    assert bias(4, 4, 500) > 10 * error


def test_rows_and_columns_without_counts_do_not_exist():
    counts = np.array([[5, 1], [2, 7]])
    wider = np.insert(np.insert(counts, 1, 0, axis=0), 2, 0, axis=1)
    assert mutual_information(wider) == mutual_information(counts)
    assert mutual_information(np.array([[3, 9]])) == 0
    assert np.isnan(mutual_information(np.zeros((2, 2))))


# --- footprints -----------------------------------------------------------------------------------------------------


def test_the_only_base_that_decides_has_all_the_bits():
    sequences, letters = random_letters(4000, 6)
    footprint = information_footprint(sequences, (letters[:, 2] == "G").astype(int))
    quarter = -(0.25 * np.log2(0.25) + 0.75 * np.log2(0.75))
    assert footprint[2] == pytest.approx(quarter, abs=0.03)
    assert np.abs(np.delete(footprint, 2)).max() < 0.005


def test_bins_and_counts_are_two_ways_of_writing_the_same():
    sequences, letters = random_letters(300, 5)
    bins = (letters[:, 1] == "A") * 2 + (letters[:, 3] == "C")
    counts = np.eye(4)[bins]
    found = information_footprint(sequences, bins)
    assert information_footprint(sequences, counts) == pytest.approx(found)
    twice = information_footprint(sequences * 2, np.concatenate([bins, bins]))
    assert information_footprint(sequences, 2 * counts) == pytest.approx(twice)
    assert information_footprint(sequences, 10 - bins) == pytest.approx(found), "names of bins do not matter"


def test_mutations_that_cancel_are_seen_by_which_base_and_not_by_whether_mutated():
    sequences = ["A", "A", "C", "G"] * 1000
    outcomes = [0, 1, 0, 1] * 1000
    assert information_footprint(sequences, outcomes)[0] == pytest.approx(0.5, abs=1e-3)
    assert information_footprint(sequences, outcomes, wild_type="A")[0] == pytest.approx(0, abs=1e-3)


def test_whether_mutated_joins_the_three_mutations():
    sequences, letters = random_letters(500, 4)
    bins = np.random.default_rng(3).integers(3, size=500)
    found = information_footprint(sequences, bins, wild_type="ACGT")
    joined = ["".join("A" if own else "C" for own in row) for row in letters == list("ACGT")]
    assert found == pytest.approx(information_footprint(joined, bins))


@pytest.mark.parametrize("wild_type", [None, "ACGTA"])
def test_missing_letters_leave_their_variant_out_at_that_position_only(wild_type):
    sequences, _ = random_letters(200, 5)
    bins = np.random.default_rng(4).integers(3, size=200)
    masked = [sequence[:2] + "N" + sequence[3:] if rank < 50 else sequence for rank, sequence in enumerate(sequences)]
    found = information_footprint(masked, bins, wild_type)
    whole = information_footprint(sequences, bins, wild_type)
    part = information_footprint(sequences[50:], bins[50:], wild_type)
    assert found[2] == pytest.approx(part[2])
    assert np.delete(found, 2) == pytest.approx(np.delete(whole, 2))
    assert np.isnan(information_footprint(["N", "N"], [0, 1])[0])


def test_the_most_frequent_base_is_the_wild_type_and_ties_are_settled_by_alphabet():
    assert most_frequent(["ACGT", "ACCT", "TCGT", "GCGA"]) == "ACGT"
    assert most_frequent(["GT", "AT"]) == "AT"


def test_the_lac_promoter_shows_its_sites_and_shuffled_outcomes_do_not():
    promoters = lac_promoter("test")
    reads = promoters.filter(like="bin_").to_numpy()
    known = np.zeros(75, dtype=bool)
    for site in sample_card("lac_promoter").sites:
        known[site.start : site.stop] = True
    for wild_type in (None, most_frequent(promoters.sequence)):
        measured = information_footprint(promoters.sequence, reads, wild_type)
        assert roc_auc_score(known, measured) > 0.84
        assert known[measured.argmax()]
        assert known[np.argsort(measured)[-10:]].sum() >= 8
    shuffled = information_footprint(promoters.sequence, np.random.default_rng(0).permutation(reads))
    assert np.abs(shuffled).max() < measured.max() / 10
    assert abs(shuffled.mean()) < 4 * shuffled.std() / np.sqrt(75)


@pytest.mark.parametrize(
    ("sequences", "outcomes", "wild_type", "message"),
    [
        ([], [], None, "lengths \\[\\] came"),
        (["AC", "A"], [0, 1], None, "lengths \\[1, 2\\] came"),
        (["AC", "AG"], [0, 1, 1], None, "\\(3,\\) came with 2 sequences"),
        (["AC", "AG"], [0, 1], "ACG", "wild type of 3 letters came with variants of 2"),
        (["AC", "AG"], [0.5, 1.5], None, "pandas.qcut"),
        (["AC", "AG"], [[1, 0], [-1, 2]], None, "negative or NaN"),
        (["AC", "AG"], np.zeros((2, 2, 2)), None, "\\(2, 2, 2\\)"),
    ],
)
def test_bad_input_is_refused_in_words(sequences, outcomes, wild_type, message):
    with pytest.raises(DataError, match=message):
        information_footprint(sequences, outcomes, wild_type)
