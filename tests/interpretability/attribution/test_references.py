"""References: shuffles that keep the dinucleotides and nothing else, and embeddings that leave masked tokens alone."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from genomic_lens.data.tokenizers import DNATokenizer, ProteinTokenizer, RNATokenizer
from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.interpretability.attribution.references import (
    BASELINES,
    dinucleotide_shuffle,
    is_sequence,
    reference_embeddings,
    reference_ids,
)
from genomic_lens.training.multi.modalities import ModalityTokenizer


def shuffles(ids, count, seed=0):
    generator = np.random.default_rng(seed)
    return [dinucleotide_shuffle(np.array(ids), generator) for _ in range(count)]


def pairs(ids):
    return Counter(pairwise(np.asarray(ids).tolist()))


def arrangements(walk, left):
    """All ways to go on from a walk until every dinucleotide that is left has been used, by trying each in turn."""
    if not left:
        return [walk]
    steps = [pair for pair in left if pair[0] == walk[-1]]
    return [whole for pair in steps for whole in arrangements((*walk, pair[1]), left - Counter([pair]))]


@pytest.mark.parametrize("letters", [2, 3, 4])
@pytest.mark.parametrize("length", [2, 7, 60])
def test_dinucleotides_and_ends_are_kept(letters, length):
    ids = np.random.default_rng(length).integers(letters, size=length)
    for shuffled in shuffles(ids, 50):
        assert pairs(shuffled) == pairs(ids)
        assert (shuffled[0], shuffled[-1]) == (ids[0], ids[-1])


@pytest.mark.parametrize("word", ["ACAGACA", "CAGGTCGA", "GTTGATGG", "GCGAGCGCA", "GGCGACACA"])
def test_every_arrangement_is_equally_likely(word):
    """The arrangements come from brute force, so walks that cannot finish or that favour some orders would show.

    In the last two words, a choice of last steps that forgets how often each occurs would favour some.
    """
    ids = ["ACGT".index(base) for base in word]
    possible = arrangements((ids[0],), pairs(ids))
    assert len(possible) > 2
    drawn = Counter(tuple(shuffled.tolist()) for shuffled in shuffles(ids, 300 * len(possible), seed=7))
    assert set(drawn) == set(possible)
    assert chisquare([drawn[order] for order in possible]).pvalue > 0.01


@pytest.mark.parametrize("ids", [[2], [2, 2, 2, 2], [0, 1], [0, 1, 1, 1]])
def test_a_sequence_without_another_arrangement_stays(ids):
    assert {tuple(shuffled.tolist()) for shuffled in shuffles(ids, 5)} == {tuple(ids)}


def test_a_long_sequence_is_really_shuffled():
    """Bases at equal places agree as often as those of unrelated sequences, and no dinucleotide is lost."""
    ids = np.random.default_rng(0).integers(4, size=20_000)
    shuffled = shuffles(ids, 1)[0]
    assert pairs(shuffled) == pairs(ids)
    assert (shuffled == ids).mean() == pytest.approx(0.25, abs=0.02)


def test_the_generator_decides():
    ids = np.random.default_rng(0).integers(4, size=100)
    first, again, other = (shuffles(ids, 1, seed)[0] for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


# --- embeddings -----------------------------------------------------------------------------------------------------

TABLE = torch.eye(12)


def letters_of(references):
    """Token ids of one-hot references."""
    return references.argmax(-1).numpy()


def test_shuffled_references_keep_masked_tokens_and_the_dinucleotides_of_the_rest():
    tokenizer = DNATokenizer(special="cls_sep")
    ids = tokenizer.encode("ACGTNNACGGTCANTGCA")
    masked = np.isin(ids, tokenizer.masked_ids)
    found = letters_of(reference_embeddings(TABLE, ids, tokenizer, "shuffled", count=20, seed=0))
    assert found.shape == (20, len(ids))
    assert len({tuple(row) for row in found}) > 10
    for row in found:
        assert (row[masked] == ids[masked]).all()
        assert pairs(row[~masked]) == pairs(ids[~masked])


def test_more_references_begin_with_the_fewer():
    """Reference 3 of a seed is the same sequence however many are drawn, so averages over more only refine."""
    tokenizer = DNATokenizer()
    ids = tokenizer.encode("ACGTTGCATGCCATTAGC")
    few, many = (reference_embeddings(TABLE, ids, tokenizer, "shuffled", count, seed=5) for count in (3, 8))
    assert torch.equal(many[:3], few)


@pytest.mark.parametrize(
    ("baseline", "row"),
    [("mean", TABLE[7:11].mean(0)), ("n", TABLE[11]), ("zero", torch.zeros(12))],
)
def test_other_baselines_replace_each_letter_and_nothing_else(baseline, row):
    tokenizer = DNATokenizer(special="sep")
    ids = tokenizer.encode("ANC")
    found = reference_embeddings(TABLE, ids, tokenizer, baseline, count=9, seed=0)
    assert torch.equal(found, torch.stack([row, TABLE[11], row, TABLE[1]])[None])


def test_random_references_keep_the_bases_and_not_their_order():
    tokenizer = DNATokenizer(special="cls_sep")
    ids = tokenizer.encode("ACGTNNACGGTCANTGCAAAAATTTTTT")
    masked = np.isin(ids, tokenizer.masked_ids)
    found = letters_of(reference_embeddings(TABLE, ids, tokenizer, "random", count=30, seed=0))
    assert len({tuple(row) for row in found}) == 30
    for row in found:
        assert (row[masked] == ids[masked]).all()
        assert Counter(row[~masked]) == Counter(ids[~masked])
    assert np.mean([pairs(row[~masked]) == pairs(ids[~masked]) for row in found]) < 0.1
    first = np.bincount(found[:, 1], minlength=12)[7:11]
    assert chisquare(first, 30 * np.bincount(ids[~masked], minlength=12)[7:11] / (~masked).sum()).pvalue > 0.001


@pytest.mark.parametrize("baseline", ["shuffled", "random", "n"])
def test_ids_and_embeddings_of_a_reference_agree(baseline):
    tokenizer = DNATokenizer(special="sep")
    ids = tokenizer.encode("ACGTNNACGGTCA")
    rows = reference_ids(ids, tokenizer, baseline, count=4, seed=2)
    assert (rows == letters_of(reference_embeddings(TABLE, ids, tokenizer, baseline, count=4, seed=2))).all()


def test_means_and_blurs_are_no_sequences():
    for baseline in ("mean", "zero", "blur"):
        assert reference_ids(np.array([7, 8]), DNATokenizer(), baseline, count=1, seed=0) is None


def blur_of(sequence, width, special="none"):
    tokenizer = DNATokenizer(special=special)
    return reference_embeddings(TABLE, tokenizer.encode(sequence), tokenizer, "blur", count=5, seed=0, blur=width)[0]


def test_a_blur_is_the_gaussian_mean_of_the_letters_around():
    sequence, width = "ACGTTGCANNACGT", 2.0
    ids = DNATokenizer().encode(sequence)
    found = blur_of(sequence, width).numpy()
    places = np.array([place for place, base in enumerate(sequence) if base != "N"])
    for place in places:
        near = places[abs(places - place) <= 4 * width]
        weights = np.exp(-((near - place) ** 2) / (2 * width**2))
        expected = (weights[:, None] * np.eye(12)[ids[near]]).sum(0) / weights.sum()
        np.testing.assert_allclose(found[place], expected, atol=1e-7)


def test_a_blur_neither_changes_nor_sees_what_is_masked():
    found = blur_of("ACGNT", 3.0, special="cls_sep")
    assert torch.equal(found[[0, 4, 6]], TABLE[[0, 11, 1]])
    assert (found[:, [0, 1, 11]][[1, 2, 3, 5]] == 0).all()
    torch.testing.assert_close(found.sum(1), torch.ones(7))


def test_a_wide_blur_is_the_mean_of_the_letters_and_a_narrow_one_the_sequence():
    torch.testing.assert_close(blur_of("AACT", 1e3), TABLE[[7, 7, 8, 10]].mean(0).expand(4, -1), atol=1e-5, rtol=0)
    torch.testing.assert_close(blur_of("AACT", 0.1), TABLE[[7, 7, 8, 10]])


def test_a_sequence_without_letters_is_its_own_reference():
    ids = DNATokenizer().encode("NNN")
    for baseline in BASELINES:
        assert torch.equal(reference_embeddings(TABLE, ids, DNATokenizer(), baseline, 1, 0)[0], TABLE[[11, 11, 11]])


def test_an_unknown_baseline_is_refused():
    with pytest.raises(ConfigurationError, match="'median' came; expected one of shuffled, random, mean, n, zero"):
        reference_embeddings(TABLE, np.array([7]), DNATokenizer(), "median", 1, 0)


def test_a_sequence_is_its_own_reference_where_bases_are_known():
    tokenizer = DNATokenizer(special="cls_sep")
    ids = tokenizer.encode("GANTACA")
    rows = reference_ids(ids, tokenizer, "ccctaca", count=5, seed=0)
    assert rows.shape == (1, len(ids))
    assert tokenizer.decode(rows[0]) == "CCNTACA"  # what is masked in the sequence stays as it is


def test_a_sequence_of_another_length_is_refused():
    tokenizer = DNATokenizer()
    with pytest.raises(DataError, match="6 tokens and the sequence 7"):
        reference_ids(tokenizer.encode("GATTACA"), tokenizer, "GATTAC", count=1, seed=0)


def test_proteins_are_baselines_too_and_words_are_none():
    assert [is_sequence(text) for text in ("MKV*", "gattaca")] == [True, True]
    assert [is_sequence(text) for text in ("", "shuffled", "Mean")] == [False, False, False]


@pytest.mark.parametrize(
    ("tokenizer", "sequence", "unknown"),
    [
        (DNATokenizer(), "ACGT", "N"), (RNATokenizer(), "ACGU", "N"), (ProteinTokenizer(), "MKTL", "X"),
        (ModalityTokenizer("protein"), "MKTL", "X"), (ModalityTokenizer("dna"), "ACGT", "N"),
    ],
)  # fmt: skip
def test_the_unknown_letter_is_that_of_the_alphabet(tokenizer, sequence, unknown):
    rows = reference_ids(tokenizer.encode(sequence), tokenizer, "n", count=1, seed=0)
    assert [tokenizer.tokens[number] for number in rows[0]] == [unknown] * 4
    assert set(rows[0].tolist()) <= set(tokenizer.masked_ids)
