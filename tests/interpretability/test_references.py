"""References: shuffles that keep the dinucleotides and nothing else, and embeddings that leave masked tokens alone."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ConfigurationError
from genomic_lens.interpretability.references import dinucleotide_shuffle, reference_embeddings


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


def test_a_sequence_without_letters_is_its_own_reference():
    ids = DNATokenizer().encode("NNN")
    for baseline in ("shuffled", "mean"):
        assert torch.equal(reference_embeddings(TABLE, ids, DNATokenizer(), baseline, 1, 0)[0], TABLE[[11, 11, 11]])


def test_an_unknown_baseline_is_refused():
    with pytest.raises(ConfigurationError, match="'gc' came; expected one of shuffled, mean, n, zero"):
        reference_embeddings(TABLE, np.array([7]), DNATokenizer(), "gc", 1, 0)
