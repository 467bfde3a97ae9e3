"""Planted motifs: they are where the sites say, decoys have the same bases, and nothing else differs."""

from collections import Counter

import numpy as np
import pytest

from genomic_lens.data.planted import PLANTED, WORDS, draw, free_places, from_word, planted_motifs
from genomic_lens.errors import ConfigurationError

COMPLEMENT = str.maketrans("ACGT", "TGCA")
CERTAIN = {name: from_word(word, certain=1.0) for name, word in WORDS.items()}


def turned(word):
    return word.translate(COMPLEMENT)[::-1]


def test_each_motif_has_more_than_ten_bits_and_is_unlike_the_others():
    for rows in PLANTED.values():
        assert rows.sum(1) == pytest.approx(np.ones(8))
        assert (rows * np.log2(4 * rows)).sum() > 10
    words = list(WORDS.values())
    for rank, word in enumerate(words):
        assert word != turned(word)
        for other in [*words[:rank], *map(turned, words[:rank]), turned(word)]:
            assert sum(one == two for one, two in zip(word, other, strict=True)) <= 5


@pytest.mark.parametrize("both_strands", [True, False])
def test_sites_read_the_motif_in_its_direction(both_strands):
    data = planted_motifs(40, 80, 3, CERTAIN, both_strands=both_strands, seed=1)
    words = list(WORDS.values())
    for (number, start, stop, strand), which in zip(data.sites, data.motifs, strict=True):
        text = data.sequences[number][start:stop]
        assert (text if strand == 1 else turned(text)) == words[which]
    assert set(data.sites[:, 3]) == ({1, -1} if both_strands else {1})
    assert set(data.motifs) == set(range(5))


def test_every_second_sequence_has_its_sites_and_they_do_not_overlap():
    data = planted_motifs(30, 50, 4)
    assert data.labels.tolist() == [0, 1] * 15
    assert Counter(data.sites[:, 0].tolist()) == {number: 4 for number in range(1, 30, 2)}
    for number in range(30):
        mask = data.mask(number)
        assert mask.sum() == (32 if number % 2 else 0)
        own = data.sites[data.sites[:, 0] == number]
        assert all(mask[start:stop].all() for _, start, stop, _ in own)
        assert (own[1:, 1] >= own[:-1, 2]).all()


def test_decoys_hold_the_same_bases_and_no_motif_more_than_chance():
    """Bases are drawn from the same distribution in both classes; words stand in one."""
    data = planted_motifs(2000, 60, 3, CERTAIN, both_strands=False)
    classes = ["".join(data.sequences[label::2]) for label in (0, 1)]
    shares = np.array([[text.count(base) for base in "ACGT"] for text in classes]) / 60_000
    np.testing.assert_allclose(shares[0], shares[1], atol=0.01)
    words = [sum(text.count(word) for word in WORDS.values()) for text in classes]
    assert words[1] > 2900
    assert words[0] < 60


def test_the_motifs_have_the_frequencies_of_their_matrices():
    rows = np.random.default_rng(3).dirichlet(np.ones(4), 6)
    generator = np.random.default_rng(0)
    for real, expected in ((True, rows), (False, np.tile(rows.mean(0), (6, 1)))):
        drawn = np.stack([draw(rows, real, generator) for _ in range(4000)])
        shares = np.stack([(drawn == base).mean(0) for base in range(4)], 1)
        np.testing.assert_allclose(shares, expected, atol=0.03)


def test_places_are_even():
    """Two parts of two in five bases: the three ways to lay them are as frequent."""
    generator = np.random.default_rng(0)
    parts = [np.zeros(2), np.zeros(2)]
    found = Counter(tuple(free_places(5, parts, generator).tolist()) for _ in range(3000))
    assert set(found) == {(0, 2), (0, 3), (1, 3)}
    assert max(found.values()) - min(found.values()) < 200


def test_the_background_is_as_asked_and_the_seed_decides():
    data = planted_motifs(200, 200, 1, {"one": from_word("AT", 1.0)}, gc=0.8, seed=5)
    text = "".join(data.sequences)
    assert (text.count("G") + text.count("C")) / len(text) == pytest.approx(0.8 * 198 / 200, abs=0.01)
    assert data.sequences == planted_motifs(200, 200, 1, {"one": from_word("AT", 1.0)}, gc=0.8, seed=5).sequences
    assert planted_motifs(20).sequences != planted_motifs(20, seed=1).sequences


@pytest.mark.parametrize(
    "changes", [{"count": 0}, {"instances": 0}, {"length": 23}, {"motifs": {}}, {"gc": 1.2}, {"gc": -0.1}]
)
def test_what_does_not_fit_is_refused(changes):
    with pytest.raises(ConfigurationError, match="room for all instances"):
        planted_motifs(**{"count": 4, "length": 40, "instances": 3} | changes)
