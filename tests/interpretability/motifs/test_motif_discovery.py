"""Motif discovery: planted motifs come back, each where it was planted, and noise gives none and says why."""

from dataclasses import fields, replace

import numpy as np
import pytest

from genomic_lens.data.alphabets import one_hot
from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.interpretability.motifs.motif_discovery import (
    Search,
    chance,
    check_search,
    discover_motifs,
    ranked,
    strongest,
    why_nothing,
)
from genomic_lens.interpretability.motifs.patterns import likeness
from genomic_lens.interpretability.motifs.seqlets import Seqlets
from genomic_lens.records import Motif

from ..planted import explained, few, noise, positives, record

COMPLEMENT = str.maketrans("ACGT", "TGCA")


@pytest.fixture(scope="module")
def data():
    return few()


@pytest.fixture(scope="module")
def attributions(data):
    return explained(data)


@pytest.fixture(scope="module")
def discovery(attributions):
    return discover_motifs(*attributions)


def laid(motif, data):
    """The planted motif that a found one is: its number, the shift and the strand."""
    found = [likeness(motif.frequencies - 0.25, rows - 0.25) for rows in data.matrices.values()]
    best = max(range(len(found)), key=lambda which: found[which][0])
    assert found[best][0] > 0.95, f"{motif.consensus} is none of the planted motifs"
    return best, *found[best][1:]


def planted_sites(data, which, shift, strand, width):
    """Where a found motif should stand: the sites of the planted one, in the found one's columns and direction."""
    _, sites = positives(data)
    own = sites[data.motifs == which]
    right = width - shift - (own[:, 2] - own[:, 1])  # columns of the found motif after the planted one
    starts = np.where(own[:, 3] * strand == 1, own[:, 1] - shift, own[:, 1] - right)
    return set(zip(own[:, 0].tolist(), starts.tolist(), (own[:, 3] * strand).tolist(), strict=True))


# --- what was planted -------------------------------------------------------------------------------------------------


def test_each_planted_motif_is_found_once_and_no_other(discovery, data):
    assert sorted(laid(motif, data)[0] for motif in discovery.motifs) == [0, 1, 2, 3, 4]
    assert [motif.name for motif in discovery.motifs] == [f"motif {rank}" for rank in range(1, 6)]
    assert discovery.reason == discovery.advice == ""


def test_instances_stand_where_they_were_planted(discovery, data):
    for motif in discovery.motifs:
        truth = planted_sites(data, *laid(motif, data), len(motif.contributions))
        found = set(map(tuple, motif.instances.tolist()))
        assert len(found & truth) >= 0.85 * len(truth), f"{motif.consensus}: too few of those planted"
        assert len(found & truth) >= 0.9 * len(found), f"{motif.consensus}: too many elsewhere"


def test_a_motif_is_the_mean_of_its_instances(discovery, attributions):
    records, _ = attributions
    for motif in discovery.motifs:
        texts, values = [], []
        for row, start, strand in motif.instances:
            stop = start + len(motif.contributions)
            text, one = records[row].sequence[start:stop], records[row].values[start:stop]
            texts.append(text if strand == 1 else text.translate(COMPLEMENT)[::-1])
            values.append(one[::strand])
        count = np.array([[column.count(base) for base in "ACGT"] for column in zip(*texts, strict=True)])
        np.testing.assert_allclose(motif.frequencies, count / len(texts), atol=1e-6)
        np.testing.assert_allclose(motif.contributions.sum(1), np.mean(values, axis=0), atol=1e-5)
        np.testing.assert_allclose(motif.strengths, np.sum(values, axis=1), atol=1e-4)
        assert motif.sequences == len(motif.instances)
        assert (motif.method, motif.baseline, motif.sign) == ("by hand", "none", 1)


def test_motifs_are_sure_and_the_most_important_comes_first(discovery):
    totals = [motif.strengths.sum() for motif in discovery.motifs]
    assert totals == sorted(totals, reverse=True)
    assert max(motif.q_value for motif in discovery.motifs) <= discovery.significance_threshold == 0.01
    assert discovery.false_share <= 0.1
    assert discovery.seqlets >= 150


def test_the_same_attributions_give_the_same_motifs_and_fewer_if_fewer_are_asked_for(discovery, attributions):
    again = discover_motifs(*attributions, max_motifs=2)
    assert (again["count"], again.dropped) == (2, 3)
    for one, other in zip(again.motifs, discovery.motifs, strict=False):
        np.testing.assert_array_equal(one.contributions, other.contributions)
        np.testing.assert_array_equal(one.instances, other.instances)
        assert one.q_value == other.q_value


def test_what_speaks_against_the_target_has_a_sign_and_its_letters(discovery):
    against = discover_motifs(*explained(few(), sign=-1))
    assert {motif.sign for motif in against.motifs} == {-1}
    strengths = np.concatenate([motif.strengths for motif in against.motifs])
    assert (strengths < 0).all()
    assert against.thresholds[1] < 0 < against.thresholds[0]
    words = {frozenset((text, text.translate(COMPLEMENT)[::-1])) for text in
             (motif.consensus for motif in against.motifs)}  # fmt: skip
    assert words == {frozenset((text, text.translate(COMPLEMENT)[::-1])) for text in
                     (motif.consensus for motif in discovery.motifs)}  # fmt: skip


def test_unknown_bases_and_unequal_lengths_do_no_harm(attributions, data):
    """Every third sequence loses its last ten bases, every fourth has an N in front."""

    def changed(one, number):
        stop = 90 if number % 3 == 0 else 100
        shown = "N" + one.sequence[1:] if number % 4 == 0 else one.sequence
        return record(shown[:stop], one.hypothetical[:stop])

    records, null = ([changed(one, number) for number, one in enumerate(part)] for part in attributions)
    found = discover_motifs(records, null)
    assert sorted(laid(motif, data)[0] for motif in found.motifs) == [0, 1, 2, 3, 4]
    assert found.lengths.tolist() == [90 if number % 3 == 0 else 100 for number in range(80)]
    for motif in found.motifs:
        stops = motif.instances[:, 1] + len(motif.contributions)
        assert (motif.instances[:, 1] >= 0).all()
        assert (stops <= found.lengths[motif.instances[:, 0]]).all()


def test_a_seqlet_that_slides_off_its_sequence_does_no_harm():
    """In this draw clustering shifts a seqlet at an edge until nothing of its sequence is left in it."""
    data = few(count=240, seed=2)
    found = discover_motifs(*explained(data))
    assert sorted(laid(motif, data)[0] for motif in found.motifs) == [0, 1, 2, 3, 4]


# --- nothing to find --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_sequences_hold_no_motif_and_the_record_says_why(attributions, seed):
    _, null = attributions
    sequences = [one.sequence for one in null]
    nothing = discover_motifs(noise(sequences, 10 + seed), noise(sequences, 20 + seed))
    assert nothing["count"] == 0
    assert nothing.motifs == ()
    assert "stands out" in nothing.reason or "seqlets passed" in nothing.reason
    assert nothing.advice


@pytest.mark.parametrize("seed", range(3))
def test_bumps_on_random_letters_are_seqlets_and_no_motif(seed):
    """Contributions as large as those of motifs, each for letters of its own."""
    sequences, _ = positives(few(seed=seed))
    records = noise(sequences, 0)
    generator = np.random.default_rng(5)
    for number, start in enumerate(generator.integers(0, 92, len(records))):
        hypothetical, place = records[number].hypothetical.copy(), slice(start, start + 8)
        hypothetical[place] += 2 * one_hot(sequences[number])[place]
        records[number] = record(sequences[number], hypothetical)
    found = discover_motifs(records, noise(sequences, 1))
    assert found.seqlets > 60
    assert found["count"] == 0
    assert "more alike than random words" in found.reason


def test_motifs_that_stand_in_the_null_as_well_are_dropped(attributions):
    """The null is the same: what is found there as often is no evidence."""
    records, _ = attributions
    found = discover_motifs(records, records[::-1], seqlet_fdr=0.99)
    assert found["count"] == 0
    assert "as often in shuffled sequences" in found.reason or "stands out" in found.reason


SEQLETS = Seqlets(np.array([0, 1]), np.array([0, 0]), np.array([2.0, 3.0]), np.array([False, True]),
                  np.array([2.0, -np.inf]), np.array([3.0, -0.5, 1.0, -0.25]))  # fmt: skip
NONE = SEQLETS._replace(null=np.array([True, True]))


@pytest.mark.parametrize(
    ("lengths", "seqlets", "patterns", "reason", "advice"),
    [
        ([9, 12], SEQLETS, (0, 0), "longest sequence has 12 bases; a window has 15", "Lower max_length"),
        ([60], NONE._replace(highest=np.zeros(4)), (0, 0), "Contributions are zero", "another target"),
        ([60], NONE, (0, 0), "highest adds 3, the highest of shuffled sequences 1; against the target, -0.5 and -0.25",
         "raise seqlet_fdr above 0.1"),
        ([60], SEQLETS, (0, 0), "1 seqlets passed; a motif needs 20", "lower min_seqlets"),
    ],
)  # fmt: skip
def test_the_reason_names_the_first_step_that_left_nothing(lengths, seqlets, patterns, reason, advice):
    told = why_nothing(np.array(lengths), seqlets, patterns, Search())
    assert reason in told[0]
    assert advice in told[1]


def test_the_reason_goes_on_to_likeness_and_to_chance():
    many = SEQLETS._replace(null=np.zeros(30, bool))
    for clustered in (0, 3):
        reason, _ = why_nothing(np.array([60]), many, (clustered, 0), Search())
        assert "30 seqlets passed, and no 20 of them are more alike than random words can be" in reason
    assert "4 patterns were found, but as often" in why_nothing(np.array([60]), many, (5, 4), Search())[0]


# --- parts ------------------------------------------------------------------------------------------------------------


def test_chance_by_hand():
    assert chance(3, 0, 0.5) == pytest.approx(1 / 8)
    assert chance(2, 1, 0.5) == pytest.approx(4 / 8)
    assert chance(2, 0, 0.25) == pytest.approx(1 / 16)
    assert chance(0, 0, 0.5) == 1


def test_ranking_by_hand():
    """p of 1/2**10, 1/2**8 and 1: q of 3 and 3/2 times the first two; the strongest of them comes first."""

    def found(real, shuffled, strength):
        return Motif("", tuple("ACGT"), np.eye(4), np.eye(4), "ACGT", sequences=real, null_instances=shuffled,
                     strengths=np.full(real, strength))  # fmt: skip

    motifs = [found(10, 0, 1.0), found(8, 0, -2.0), found(0, 9, 5.0)]
    kept = ranked(motifs, 0.5, Search(significance_threshold=0.01))
    assert [(motif.name, motif.sequences) for motif in kept] == [("motif 1", 8), ("motif 2", 10)]
    assert [motif.q_value for motif in kept] == pytest.approx([1.5 / 2**8, 3 / 2**10])
    assert [motif.sequences for motif in ranked(motifs, 0.5, Search(significance_threshold=0.004))] == [10]
    assert ranked([], 0.5, Search()) == ()


def test_the_strongest_seqlets_keep_their_order():
    seqlets = Seqlets(np.arange(4), np.arange(4), np.array([1.0, -5.0, 2.0, 3.0]), np.zeros(4, bool), np.zeros(2),
                      np.zeros(4))  # fmt: skip
    assert strongest(seqlets, 2).sequence.tolist() == [1, 3]
    assert strongest(seqlets, 9).score.tolist() == [1, -5, 2, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_length": 16}, "min_length=16, max_length=15"),
        ({"min_length": 1}, "2 <= min_length"),
        ({"max_length": 51}, "<= 50"),
        ({"significance_threshold": 0}, "significance_threshold=0 came"),
        ({"seqlet_fdr": 1}, "seqlet_fdr=1 came"),
        ({"max_motifs": 0}, "max_motifs=0 came; expected at least 1"),
        ({"min_seqlets": 9}, "min_seqlets=9 came; expected at least 10"),
        ({"max_seqlets": 15}, "max_seqlets=15 came; expected at least 20"),
    ],
)
def test_parameters_out_of_range_are_refused(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        check_search(Search(**changes))
    with pytest.raises(ConfigurationError, match=message):
        discover_motifs([], [], **changes)


def test_attributions_that_cannot_be_compared_are_refused(attributions):
    records, null = (part[:3] for part in attributions)
    for own, other in (([], null), (records, [])):
        with pytest.raises(DataError, match="null_attributions makes the latter"):
            discover_motifs(own, other)
    assert {"target", "method", "baseline", "references", "model"} <= {field.name for field in fields(records[0])}
    for changes in ({"target": "b"}, {"method": "b"}, {"baseline": "b"}, {"references": 3}, {"model": "b"}):
        with pytest.raises(DataError, match="2 kinds"):
            discover_motifs(records, [*null[:2], replace(null[2], **changes)])
