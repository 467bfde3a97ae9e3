"""Patterns: places read back as letters, on either strand, cut, laid on each other and joined."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.interpretability.motifs.patterns import (
    Pattern,
    cluster,
    core_span,
    cut,
    excerpts,
    join,
    joined,
    lay_out,
    likeness,
    modisco,
    places,
    profile,
    same_motif,
    same_threads,
)
from genomic_lens.interpretability.motifs.seqlets import call_seqlets

from ..planted import explained, few, noise, positives, record

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def turned(text):
    return text.translate(COMPLEMENT)[::-1]


def letters(rows):
    return ["".join("ACGT"[best] for best in row.argmax(-1)) for row in rows]


# --- tracks -----------------------------------------------------------------------------------------------------------


def test_tracks_hold_what_the_attributions_say():
    records = noise(["ACGTNACG", "TTGCA"], seed=0)
    tracks = lay_out(records, margin=7)
    assert tracks.one_hot.shape == (2, 22, 4)
    assert tracks.lengths.tolist() == [8, 5]
    for values, one in zip(tracks.contributions(), records, strict=True):
        np.testing.assert_allclose(values, np.nan_to_num(one.values), atol=1e-6)
    for track in tracks[:2]:
        assert not track[:, :7].any()
        assert not track[0, 7 + 4].any(), "an unknown base is no letter"
        assert not track[1, 7 + 5 :].any()


def test_lower_case_and_rna_are_the_same_bases():
    hypothetical = np.arange(16.0).reshape(4, 4)
    first, second = (lay_out([record(text, hypothetical)]).one_hot for text in ("ACGT", "acgu"))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("changes", [{"hypothetical": None}, {"letters": tuple("ACGU")}])
def test_attributions_without_hypothetical_contributions_are_refused(changes):
    plain = record("ACGT", np.ones((4, 4)))
    fields = {name: getattr(plain, name) for name in plain.__dataclass_fields__}
    with pytest.raises(DataError, match="Attribution 1 has no hypothetical contributions of A, C, G and T"):
        lay_out([plain, type(plain)(**fields | changes)])


# --- excerpts, cuts ---------------------------------------------------------------------------------------------------


@pytest.fixture
def tracks():
    generator = np.random.default_rng(1)
    texts = ["".join(generator.choice(list("ACGT"), size)) for size in (40, 33)]
    return texts, lay_out(noise(texts, seed=2))


SITES = Pattern(np.array([[0, 4, 1], [1, 20, -1], [0, 30, -1]]), 6, 1)


def test_an_excerpt_is_the_text_in_its_own_direction(tracks):
    texts, laid = tracks
    found = letters(excerpts(laid.one_hot, laid.margin, SITES))
    assert found == [texts[0][4:10], turned(texts[1][20:26]), turned(texts[0][30:36])]


def test_a_profile_is_the_mean_over_places(tracks):
    _, laid = tracks
    parts = excerpts(laid.one_hot * laid.hypothetical, laid.margin, SITES)
    np.testing.assert_allclose(profile(laid, SITES), sum(parts) / 3, atol=1e-6)


@pytest.mark.parametrize(("start", "stop"), [(1, 5), (0, 6), (-3, 4), (2, 9)])
def test_a_cut_is_the_same_columns(tracks, start, stop):
    _, laid = tracks
    wide = excerpts(laid.one_hot, laid.margin, cut(SITES, -10, 16))
    narrow = excerpts(laid.one_hot, laid.margin, cut(SITES, start, stop))
    np.testing.assert_array_equal(narrow, wide[:, 10 + start : 10 + stop])


@pytest.mark.parametrize(
    ("heights", "least", "most", "span"),
    [
        ([0, 0, 4, 1, 3, 0], 2, 6, (2, 5)),
        ([0, 0, 4, 0, 0, 1], 2, 6, (2, 6)),  # a hole stays
        ([0, 0, 4, 0, 0, 0.9], 2, 6, (2, 4)),  # below a quarter; widened to two, to the right on a tie
        ([0, 3, 4, 0, 0], 4, 6, (1, 5)),
        ([1, 1, 4, 3, 3, 1], 2, 3, (2, 5)),  # the three with most
        ([9, 0, 0], 3, 5, (0, 3)),  # there are no more columns
        ([9, 0], 6, 8, (0, 2)),
    ],
)
def test_the_core_by_hand(heights, least, most, span):
    assert core_span(np.array(heights, dtype=float), least, most) == span


# --- the same twice ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [-2, 0, 3])
@pytest.mark.parametrize("strand", [1, -1])
def test_a_shifted_turned_motif_is_recognised(shift, strand):
    generator = np.random.default_rng(0)
    first = generator.normal(size=(9, 4))
    padded = np.vstack([np.zeros((4, 4)), first, np.zeros((4, 4))])
    second = padded[4 + shift : 13 + shift][::strand, ::strand]
    cosine, found, turn = likeness(first, second)
    assert (found, turn) == (shift, strand)
    part = first[max(0, shift) : 9 + shift]
    assert cosine == pytest.approx(np.linalg.norm(part) / np.linalg.norm(first))
    assert likeness(-first, second)[0] < cosine


def test_half_a_motif_is_not_the_whole():
    whole = np.eye(4)[[0, 1, 2, 3, 0, 2, 1, 3]]
    assert likeness(whole, whole[:4])[0] == pytest.approx(np.sqrt(0.5))


def test_joined_places_read_alike():
    """One pattern holds the word at column 2, the other its reverse complement at column 1."""
    texts = ["GGGGTTTGACTTGGGG", "CCCTTTGACTTCCCCC", "AAAAAAAGTCAAAGGG"]
    laid = lay_out([record(text, np.ones((16, 4))) for text in texts])
    first = Pattern(np.array([[0, 4, 1], [1, 3, 1]]), 8, 1)
    second = Pattern(np.array([[2, 6, 1]]), 6, 1)
    own, other = (profile(laid, pattern) for pattern in (first, second))
    cosine, shift, strand = likeness(own, other)
    assert strand == -1
    both = join(first, second, shift, strand)
    found = letters(excerpts(laid.one_hot, laid.margin, both))
    assert len(found) == 3
    assert {text[2:7] for text in found} == {"TGACT"}


def test_the_same_place_counts_once():
    one = Pattern(np.array([[0, 4, 1], [1, 5, 1]]), 6, 1)
    again = Pattern(np.array([[0, 6, 1], [2, 9, 1]]), 4, 1)
    assert join(one, again, shift=2, strand=1).sites.tolist() == [[0, 4, 1], [1, 5, 1], [2, 7, 1]]


def test_alike_patterns_are_joined_and_others_are_not():
    data = few()
    sequences, sites = positives(data)
    laid = lay_out(explained(data)[0])
    first, other = (sites[data.motifs == which][:, [0, 1, 3]] for which in (0, 1))
    patterns = [Pattern(first[:9], 8, 1), Pattern(other, 8, 1), Pattern(first[9:], 8, 1)]
    found = joined(laid, patterns)
    assert sorted(len(pattern.sites) for pattern in found) == sorted([len(first), len(other)])
    against = [patterns[0], patterns[2]._replace(sign=-1)]
    assert len(joined(laid, against)) == 2, "what speaks against the target is not what speaks for it"


def test_a_motif_is_itself_at_any_width_and_half_of_it_is_not():
    data = few()
    _, sites = positives(data)
    laid = lay_out(explained(data)[0])
    own = sites[data.motifs == 2][:, [0, 1, 3]]
    whole = Pattern(own[:15], 8, 1)
    assert same_motif(laid, whole, cut(Pattern(own[15:], 8, 1), -2, 9))[0] > 0.95
    assert same_motif(laid, whole, Pattern(own[15:] * [1, 1, -1], 8, 1))[1:] == (0, -1)
    texts = ["GGGGGATGCAAATGGGG", "GGGGGATGCTTTTGGGG"]
    core = lay_out([record(text, np.ones((17, 4)) * np.isin(np.arange(17), range(5, 13))[:, None]) for text in texts])
    first, second = Pattern(np.array([[0, 5, 1]]), 8, 1), Pattern(np.array([[1, 5, 1]]), 4, 1)
    assert same_motif(core, first, second)[0] == pytest.approx(5 / 8), "alike where the shorter was cut, and no further"


# --- clustering -------------------------------------------------------------------------------------------------------


def test_clusters_are_the_planted_motifs():
    data = few(motifs={name: few().matrices[name] for name in ("one", "three")}, count=100)
    records, null = explained(data)
    laid = lay_out([*records, *null])
    values = laid.contributions()
    seqlets = call_seqlets(values[: len(records)], values[len(records) :])
    threads = torch.get_num_threads()
    patterns = cluster(laid, seqlets, 1, 15)
    assert torch.get_num_threads() == threads
    words = [letters([profile(laid, pattern)])[0] for pattern in joined(laid, patterns)]
    for word in ("TGACTCAC", "ATGCAAAT"):
        assert sum(word in text or turned(word) in text for text in words) == 1
    assert cluster(laid, seqlets, -1, 15) == []


def test_pytorch_keeps_its_threads():
    """numba and PyTorch keep their number of threads in one place; without care the last one to set it wins."""
    before = torch.get_num_threads()
    with same_threads():
        torch.set_num_threads(before + 1)
    assert torch.get_num_threads() == before


def test_places_of_modisco_are_ours():
    seqlets = [SimpleNamespace(example_idx=3, start=65, is_revcomp=flag) for flag in (False, True)]
    assert places(seqlets, margin=60).tolist() == [[3, 5, 1], [3, 5, -1]]


def test_a_missing_modisco_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "modiscolite", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'genomic_lens\[motifs\]'"):
        modisco()
