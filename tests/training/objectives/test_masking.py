"""Hidden bases: how many, behind what, and never what is no base."""

import numpy as np
import pytest

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data.tokenizers import DNATokenizer, KmerTokenizer
from genomic_lens.errors import ConfigurationError
from genomic_lens.training.objectives.masking import masking_of

TOKENIZER = DNATokenizer(special="cls_sep")


def masking(**options):
    return masking_of(HyenaGLTConfig(vocab_size=12, **options), TOKENIZER)


def bases(count, seed=0):
    return TOKENIZER.encode("".join(np.random.default_rng(seed).choice(list("ACGTN"), count)))


def test_shares_are_those_of_bert():
    """15 % of the bases, of which 80 % read [MASK], 10 % a random base (which may be the same), 10 % stand."""
    ids = bases(200_000)
    hidden, labels = masking()(ids, np.random.default_rng(1))
    known, asked = np.isin(ids, range(7, 11)), labels >= 0
    assert asked.sum() / known.sum() == pytest.approx(0.15, abs=0.003)
    read = hidden[asked]
    assert (read == 3).mean() == pytest.approx(0.8, abs=0.01)
    assert (read == labels[asked]).mean() == pytest.approx(0.1 + 0.1 / 4, abs=0.01)
    assert set(read) == {3, 7, 8, 9, 10}


def test_labels_are_what_stood_there_and_nothing_else_changes():
    ids = bases(5000)
    before = ids.copy()
    hidden, labels = masking()(ids, np.random.default_rng(1))
    asked = labels != -100
    assert np.array_equal(ids, before)
    assert np.array_equal(labels[asked], ids[asked])
    assert np.array_equal(hidden[~asked], ids[~asked])


def test_what_is_no_base_is_never_hidden_and_never_stands_in():
    ids = bases(20_000)
    hidden, labels = masking(mlm_probability=1.0, mask_replace_prob=0.0, random_replace_prob=1.0)(
        ids, np.random.default_rng(2)
    )
    special = np.isin(ids, (0, 1, 11))
    assert special.any()
    assert np.array_equal(labels[special], np.full(special.sum(), -100))
    assert np.array_equal(hidden[special], ids[special])
    assert (labels[~special] >= 0).all()
    assert set(hidden[~special]) == {7, 8, 9, 10}


def test_a_short_sequence_has_something_to_be_guessed_if_it_has_a_base():
    for seed in range(50):
        assert (masking()(TOKENIZER.encode("NAN"), np.random.default_rng(seed))[1] >= 0).sum() == 1
    hidden, labels = masking()(TOKENIZER.encode("NNN"), np.random.default_rng(0))
    assert np.array_equal(hidden, TOKENIZER.encode("NNN"))
    assert (labels == -100).all()


def test_words_are_hidden_unless_they_overlap():
    words = KmerTokenizer(k=2)
    config = HyenaGLTConfig(vocab_size=len(words))
    assert masking_of(config, words).letters.tolist() == [*range(7, 11), *range(12, 28)]
    with pytest.raises(ConfigurationError, match="overlap tell what is hidden"):
        masking_of(config, KmerTokenizer(k=2, overlapping=True))


def test_a_vocabulary_without_a_mask_is_refused():
    with pytest.raises(ConfigurationError, match=r"has no \[MASK\]"):
        masking_of(HyenaGLTConfig(vocab_size=512, masked_token_ids=(0, 1)))
