"""Seqlets: peaks that are the greedy ones, false shares that are counted right, and bumps found where they are."""

from collections import Counter

import numpy as np
import pytest

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import DataError
from genomic_lens.interpretability.attribution.attributions import attribute
from genomic_lens.interpretability.motifs.seqlets import (
    call_seqlets,
    false_shares,
    null_attributions,
    shuffled_sequences,
    window_peaks,
)

from ..conftest import Detector

TOKENIZER = DNATokenizer()


def pairs(sequence):
    return Counter(zip(sequence, sequence[1:], strict=False))


# --- the null ---------------------------------------------------------------------------------------------------------


def test_a_shuffle_keeps_pairs_and_masked_bases():
    generator = np.random.default_rng(0)
    sequences = ["".join(generator.choice(list("ACGT"), 80)) for _ in range(5)]
    sequences[0] = sequences[0][:30] + "NNN" + sequences[0][33:]
    shuffled = shuffled_sequences(TOKENIZER, sequences)
    assert shuffled[0][30:33] == "NNN"
    for before, after in zip(sequences, shuffled, strict=True):
        assert pairs(before.replace("N", "")) == pairs(after.replace("N", ""))
        assert before != after


def test_a_shuffle_depends_on_the_seed_and_on_the_place():
    sequence = "ACGGTCATTCAGGACCATTGCA" * 3
    first = shuffled_sequences(TOKENIZER, [sequence] * 3, seed=1)
    assert first == shuffled_sequences(TOKENIZER, [sequence] * 3, seed=1)
    assert first != shuffled_sequences(TOKENIZER, [sequence] * 3, seed=2)
    assert len(set(first)) == 3


def test_the_null_is_the_same_question_about_shuffled_sequences():
    model, sequences = Detector("TGAC"), ["AATGACTTGCATTGAC", "TTTGACAATGCCATGA"]
    found = null_attributions(model, TOKENIZER, sequences, 0, seed=3, references=2)
    again = attribute(model, TOKENIZER, shuffled_sequences(TOKENIZER, sequences, 3), 0, seed=3, references=2)
    assert [record.sequence for record in found] == [record.sequence for record in again]
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    assert {record.references for record in found} == {2}


# --- peaks ------------------------------------------------------------------------------------------------------------


def greedy(values, window):
    """The definition: the largest window that touches none of those before, until there is none."""
    starts, free = [], set(range(len(values) - window + 1))
    while free:
        best = max(sorted(free), key=lambda start: abs(values[start : start + window].sum()))
        starts.append(best)
        free -= set(range(best - window + 1, best + window))
    return starts


@pytest.mark.parametrize(("length", "window"), [(40, 7), (15, 15), (20, 1), (31, 15)])
def test_peaks_are_the_greedy_ones(length, window):
    values = np.random.default_rng(length).normal(size=length)
    starts, sums = window_peaks(values, window)
    assert starts.tolist() == greedy(values, window)
    np.testing.assert_allclose(sums, [values[start : start + window].sum() for start in starts])


def test_a_short_sequence_has_no_peak_and_masked_bases_add_nothing():
    assert [part.size for part in window_peaks(np.ones(4), 5)] == [0, 0]
    starts, sums = window_peaks(np.array([1.0, np.nan, 1.0, np.nan, np.nan]), 3)
    assert (starts.tolist(), sums.tolist()) == ([0], [2.0])


# --- false shares -----------------------------------------------------------------------------------------------------


def test_false_shares_by_hand():
    """Threshold 5: none of the null and one more, over one; threshold 4: the same over two; threshold 1: 3 over 3."""
    shares = false_shares(np.array([1.0, 5.0, 4.0]), np.array([2.0, 1.0]))
    np.testing.assert_allclose(shares, [1.0, 0.5, 0.5])
    np.testing.assert_allclose(false_shares(np.array([5.0, 4.0]), np.array([]), ratio=0.5), [0.25, 0.25])


def test_false_shares_are_the_least_at_any_threshold_that_lets_them_pass():
    generator = np.random.default_rng(0)
    scores, null = generator.integers(0, 30, 60).astype(float), generator.integers(0, 20, 40).astype(float)
    ratio = 1.5

    def share(threshold):
        return min(1, (np.sum(null >= threshold) + 1) * ratio / np.sum(scores >= threshold))

    expected = [min(share(threshold) for threshold in scores if threshold <= score) for score in scores]
    np.testing.assert_allclose(false_shares(scores, null, ratio), expected)


# --- calling ----------------------------------------------------------------------------------------------------------


def bumps(rows, height, seed=0, count=100, length=60):
    values = np.random.default_rng(seed).normal(size=(count, length))
    values[:rows, 20:28] += height
    return list(values)


@pytest.mark.parametrize("sign", [1, -1])
def test_bumps_are_found_and_only_they(sign):
    own, null = ([sign * values for values in bumps(rows, 3, seed)] for rows, seed in ((40, 0), (0, 1)))
    found = call_seqlets(own, null, window=8)
    rows, starts = found.sequence[~found.null], found.start[~found.null]
    at_bump = (rows < 40) & (np.abs(starts - 20) <= 4)
    assert set(rows[at_bump]) == set(range(40)), "each bump is called"
    assert (~at_bump).mean() <= 0.15, "few others are, as the false share of 0.1 allows"
    assert (np.sign(found.score[at_bump]) == sign).all()
    assert np.isfinite(found.thresholds[0 if sign == 1 else 1])
    assert (np.abs(found.score[at_bump]) >= abs(found.thresholds[0 if sign == 1 else 1])).all()


def test_the_share_of_false_seqlets_is_as_asked():
    """Over twenty draws, those that are not at bumps are not many more than one in five."""
    false = all_of_them = 0
    for seed in range(20):
        found = call_seqlets(bumps(30, 2, 2 * seed), bumps(0, 0, 2 * seed + 1), window=8, fdr=0.2)
        rows, starts = found.sequence[~found.null], found.start[~found.null]
        false += np.sum((rows >= 30) | (np.abs(starts - 20) >= 8))
        all_of_them += len(rows)
    assert all_of_them > 200
    assert false / all_of_them < 0.25


def test_noise_has_no_seqlets():
    found = [len(call_seqlets(bumps(0, 0, seed), bumps(0, 0, seed + 50), window=8).start) for seed in range(20)]
    assert np.mean(np.array(found) > 0) <= 0.1


def test_the_null_is_kept_where_it_passes_and_counted_on():
    """Half of the null has the same bumps, so every threshold that lets bumps pass lets those of the null pass."""
    found = call_seqlets(bumps(60, 5, 0), bumps(20, 5, 1), window=8, fdr=0.5)
    assert found.null.sum() >= 20
    assert found.sequence[found.null].min() >= 100
    assert found.highest[0] >= found.thresholds[0]


def test_a_longer_null_counts_for_less():
    """Each base of the null stands for a fifth: one false peak in 500 sequences is a fifth of one in 100."""
    own = bumps(4, 6, 0)
    once = call_seqlets(own, bumps(0, 0, 1), window=8, fdr=0.1)
    longer = call_seqlets(own, bumps(0, 0, 1, count=500), window=8, fdr=0.1)
    assert len(once.start) == 0, "one of four may be false, since one more is counted"
    assert (~longer.null).sum() >= 4


def test_nothing_to_compare_is_refused():
    with pytest.raises(DataError, match="1 sequences came with 0 shuffled ones"):
        call_seqlets([np.ones(20)], [])
