"""What simple models reach is counted right."""

import numpy as np
import pytest

from genomic_lens.data.alphabets import reverse_complement
from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.metrics import MarkovModel, shortcut_regression, word_counts, word_regression


def drawn(count, length, seed=0):
    generator = np.random.default_rng(seed)
    return ["".join(generator.choice(list("ACGT"), length)) for _ in range(count)]


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_a_sequence_and_its_reverse_complement_have_the_same_words(k):
    sequences = drawn(5, 40)
    counts = word_counts(sequences, k).toarray()
    np.testing.assert_array_equal(counts, word_counts(list(map(reverse_complement, sequences)), k).toarray())
    assert (counts.sum(1) == 40 - k + 1).all()
    palindromes = 4 ** (k // 2) if k % 2 == 0 else 0
    assert counts.shape[1] == (4**k + palindromes) // 2


def test_strands_are_told_apart_where_that_is_asked_for():
    counts = word_counts(["AAC", "GTT"], 2, stranded=True).toarray()
    assert counts.shape == (2, 16)
    assert [np.flatnonzero(row).tolist() for row in counts] == [[0, 1], [11, 15]]


def test_words_with_an_unknown_letter_count_nowhere():
    assert word_counts(["AANAA", "NN", "", "A"], 2).sum(1).tolist() == [2, 0, 0, 0]


def test_a_planted_word_is_learnt_from_its_letters_order_alone():
    sequences = drawn(300, 60)
    sequences[:150] = [text[:25] + word + text[31:]
                       for text, word in zip(sequences[:150], ["TGACTC", "GAGTCA"] * 75, strict=True)]  # fmt: skip
    labels = np.repeat([1, 0], 150)
    right = [(model.fit(sequences[::2], labels[::2]).predict(sequences[1::2]) == labels[1::2]).mean()
             for model in (word_regression(5), shortcut_regression())]  # fmt: skip
    assert right[0] > 0.85
    assert abs(right[1] - 0.5) < 0.15


def test_shares_of_letters_are_enough_where_they_differ():
    generator = np.random.default_rng(0)
    rich = ["".join(generator.choice(list("GCGCAT"), 60)) for _ in range(60)]
    model = shortcut_regression().fit(rich + drawn(60, 60), [1] * 60 + [0] * 60)
    assert model.predict(["GC" * 30, "AT" * 30]).tolist() == [1, 0]


def test_chances_solved_by_hand():
    model = MarkovModel(order=1, strength=2.0).fit(["AAC"])  # and GTT on the other strand
    single = (np.array([2, 1, 1, 2]) + 2 * 0.25) / 8
    after_a = (np.array([1, 1, 0, 0]) + 2 * single) / 4
    np.testing.assert_allclose(model.chances[0], after_a)
    np.testing.assert_allclose(model.chances.sum(1), 1)
    assert model.bits(["AC"]) == pytest.approx(-np.log2(after_a[1]))


@pytest.mark.parametrize("order", [0, 1, 3])
def test_a_source_of_known_entropy_is_measured(order):
    """Each base is the one before it, but for one in ten, which is any other: 0.47 bits and a third of log 3."""
    generator = np.random.default_rng(1)
    moves = generator.choice(4, 200_000, p=[0.9, 0.1 / 3, 0.1 / 3, 0.1 / 3])
    text = "".join("ACGT"[letter] for letter in moves.cumsum() % 4)
    entropy = -(0.9 * np.log2(0.9) + 0.1 * np.log2(0.1 / 3))
    bits = MarkovModel(order).fit([text[:150_000]]).bits([text[150_000:]], first=5)
    assert bits == pytest.approx(entropy if order else 2, abs=0.02)


def test_long_contexts_do_no_harm_where_there_is_nothing_to_learn():
    train, test = drawn(2, 30_000)
    low, high = (MarkovModel(order).fit([train]).bits([test], first=12) for order in (0, 9))
    assert high < low + 0.01


def test_bases_beyond_an_unknown_one_are_left_out():
    model = MarkovModel(order=2).fit(drawn(1, 500))
    each = model.each("ACGTNACGT")
    assert np.isnan(each).tolist() == [True, True, False, False, True, True, True, False, False]
    np.testing.assert_allclose(each[[7, 8]], each[[2, 3]])
    assert model.each("A").shape == (1,)
    assert model.bits(["ACGTNAC", "ACGT"]) == model.bits(["ACGT", "ACGT"])


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(ConfigurationError, match="1 to 12"):
        word_counts(["ACGT"], 13)
    with pytest.raises(ConfigurationError, match="0 to 12"):
        MarkovModel(order=13)
    with pytest.raises(DataError, match="longer sequences"):
        MarkovModel(order=3).fit(["ACGTACGT"]).bits(["AC"])
