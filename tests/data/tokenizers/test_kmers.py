"""Words of k bases: they cover the sequence, say where, and agree with a regular expression."""

import re

import numpy as np
import pytest

from genomic_lens.data.tokenizers import KmerTokenizer
from genomic_lens.data.tokenizers.kmers import word_spans
from genomic_lens.errors import ConfigurationError, TokenizationError

SEQUENCES = ["ACGTTTGA", "N", "A", "NNACGNTTTGANNA", "ACGTACGTACGT", "AC", "acguRyTTA"]


def drawn(length, seed, letters="ACGTN"):
    return "".join(np.random.default_rng(seed).choice(list(letters), length))


def plain(sequence):
    return re.sub("[^ACGT]", "N", sequence.upper().replace("U", "T"))


@pytest.mark.parametrize("k", [2, 3, 6])
@pytest.mark.parametrize("sequence", [*SEQUENCES, drawn(500, 0), drawn(500, 1, "ACGTACGTACGTACGTN")])
def test_words_one_after_the_other_are_those_of_a_regular_expression(k, sequence):
    """Greedy from the left, letters where no word fits: how the Nucleotide Transformer reads."""
    tokenizer = KmerTokenizer(k)
    expected = re.findall(f"[ACGT]{{{k}}}|[ACGTN]", plain(sequence))
    assert tokenizer.words(tokenizer.encode(sequence)) == expected
    assert tokenizer.decode(tokenizer.encode(sequence)) == plain(sequence)


@pytest.mark.parametrize("overlapping", [False, True])
@pytest.mark.parametrize("special", ["none", "sep", "cls_sep"])
def test_offsets_are_the_places_of_the_words(overlapping, special):
    tokenizer, sequence = KmerTokenizer(3, overlapping, special), drawn(60, 2)
    ids, spans = tokenizer.encode(sequence), tokenizer.offsets(sequence)
    assert len(ids) == len(spans)
    for number, (start, stop) in zip(ids, spans, strict=True):
        word = "".join(tokenizer.words([number]))
        assert word == ("N" if "N" in sequence[start:stop] else sequence[start:stop])
        assert (number in tokenizer.masked_ids) == (word in ("", "N"))


def test_overlapping_words_are_one_a_base():
    tokenizer = KmerTokenizer(3, overlapping=True)
    assert tokenizer.words(tokenizer.encode("ACGTN")) == ["ACG", "CGT", "N"]
    assert tokenizer.decode(tokenizer.encode("ACGTN")) == "ACGTN"
    with pytest.raises(TokenizationError, match="has 2 bases; a word of 3 does not fit"):
        tokenizer.encode("AC")


def test_the_vocabulary_holds_every_word_once():
    tokenizer = KmerTokenizer(2)
    assert len(tokenizer) == len(set(tokenizer.tokens)) == 7 + 5 + 16
    assert tokenizer.encode("AA")[0] == 12
    assert tokenizer.encode("TT")[0] == 27


def test_one_changed_base_changes_one_word():
    tokenizer, sequence = KmerTokenizer(6), drawn(120, 3, "ACGT")
    before = tokenizer.encode(sequence)
    after = tokenizer.encode(sequence[:50] + ("A" if sequence[50] != "A" else "C") + sequence[51:])
    assert np.flatnonzero(before != after).tolist() == [50 // 6]


def test_spans_cover_every_letter_once():
    for seed in range(20):
        known = np.random.default_rng(seed).random(37) < 0.8
        spans = word_spans(known, 4)
        assert np.concatenate([np.arange(*span) for span in spans]).tolist() == list(range(37))


@pytest.mark.parametrize("options", [{"k": 1}, {"k": 11}, {"k": 2.0}, {"special": "bos"}, {"vocab_size": 100}])
def test_what_cannot_be_is_refused(options):
    with pytest.raises(ConfigurationError):
        KmerTokenizer(**options)
