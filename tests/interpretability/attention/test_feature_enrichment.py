"""Enrichment: what is planted is found, what is not is not, and p is uniform on noise."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.interpretability.attention.annotations import annotation_masks
from genomic_lens.interpretability.attention.feature_enrichment import (
    by_positions,
    by_shifts,
    chosen_background,
    feature_enrichment,
)

# --- annotations ------------------------------------------------------------------------------------------------------


def spans_of(annotations, lengths):
    kinds = annotation_masks(annotations, lengths)
    return {name: ([np.flatnonzero(mask).tolist() for mask in masks], count) for name, (masks, count) in kinds.items()}


def test_every_form_of_annotation_says_the_same():
    expected = {"exon": ([[1, 2, 5], [0]], 3), "repeat": ([[], [2, 3]], 1)}
    lists = [[(1, 3, "exon"), (5, 6, "exon")], [(0, 1, "exon"), (2, 4, "repeat")]]
    named = [{"exon": [(1, 3), (5, 6)]}, {"exon": [(0, 1)], "repeat": [(2, 4)]}]
    rows = [(0, 1, 3, "exon"), (0, 5, 6, "exon"), (1, 0, 1, "exon"), (1, 2, 4, "repeat")]
    table = pd.DataFrame(rows, columns=["sequence", "start", "stop", "name"])
    for form in (lists, named, table):
        assert spans_of(form, [6, 4]) == expected


def test_a_mapping_is_of_all_sequences_and_a_single_sequence_needs_no_list():
    assert spans_of({"site": [(0, 2)]}, [4, 3]) == {"site": ([[0, 1], [0, 1]], 2)}
    assert spans_of([(0, 2, "site")], [4]) == {"site": ([[0, 1]], 1)}


def test_strands_are_kinds_of_their_own_and_overlaps_count_once():
    found = spans_of([[(0, 2, "gene", "+"), (1, 3, "gene", "-"), (1, 4, "gene", "+"), (3, 4, "gene", ".")]], [4])
    assert found == {"gene (+)": ([[0, 1, 2, 3]], 2), "gene (-)": ([[1, 2]], 1), "gene": ([[3]], 1)}
    table = pd.DataFrame([(0, 0, 2, "gene", "-")], columns=["sequence", "start", "stop", "name", "strand"])
    assert list(spans_of(table, [4])) == ["gene (-)"]


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ([[(2, 5, "x")]], "Sequence 0: 'x' at 2–5 came; expected 0 <= start < stop <= 4"),
        ([[(2, 2, "x")]], "expected 0 <= start < stop <= 4"),
        ([[(-1, 2, "x")]], "expected 0 <= start < stop <= 4"),
        ([[(0.0, 2, "x")]], "expected .start, stop, name."),
        ([[(0, 2)]], "expected .start, stop, name."),
        ([[(0, 2, "x", "?")]], "on strand '.'; expected"),
        ([[], []], "Annotations of 2 sequences came with 1"),
        ([[]], "hold no span"),
        ({}, "hold no span"),
        (pd.DataFrame({"start": [0], "stop": [1], "name": ["x"]}), "lacks sequence"),
        (pd.DataFrame({"sequence": [3], "start": [0], "stop": [1], "name": ["x"]}), "expected whole numbers, and a"),
    ],
)
def test_annotation_that_does_not_fit_is_refused(annotations, message):
    with pytest.raises(DataError, match=message):
        annotation_masks(annotations, [4])


# --- two backgrounds --------------------------------------------------------------------------------------------------


def smooth_noise(generator, length, memory=0.7):
    noise = generator.gamma(2, 1, length)
    for place in range(1, length):
        noise[place] += memory * noise[place - 1]
    return noise


def random_mask(generator, length, spans=4, width=5):
    mask = np.zeros(length, dtype=bool)
    for start in generator.integers(0, length - width, spans):
        mask[start : start + width] = True
    return mask


@pytest.mark.parametrize("way", [by_shifts, by_positions])
def test_p_is_uniform_on_annotation_at_random(way):
    """Signals have a memory, and with by_positions a trend that all sequences share."""
    generator, found = np.random.default_rng(1), []
    trend = np.linspace(3, 1, 80) if way is by_positions else 1
    for _ in range(250):
        signals = [trend * smooth_noise(generator, 80) * generator.uniform(0.5, 2) for _ in range(10)]
        masks = [random_mask(generator, 80) for _ in range(10)]
        found.append(way(signals, masks, permutations=99, seed=int(generator.integers(10**6))).p)
    found = np.array(found)
    assert kstest(found, "uniform").pvalue > 1e-3
    assert 0.01 < np.mean(found <= 0.05) < 0.1


def test_means_and_effect_by_hand():
    signals = [np.array([1.0, 5.0, 3.0, 1.0]), np.array([2.0, 1.0, 1.0, np.nan])]
    masks = [np.array([False, True, True, False]), np.zeros(4, bool)]
    one = by_shifts(signals, masks, 9, 0)
    assert (one.inside, one.outside, one.deviation) == (4, 1, 0), "the second sequence has nothing to compare"
    other = by_positions(signals, masks, 9, 0)
    assert (other.inside, other.outside) == (4, 1)
    found = feature_enrichment({-1: signals}, [[(1, 3, "x")], []], "positions", permutations=9)
    assert found.fold[0] == 4
    assert (found.spans[0], found.bases[0]) == (1, 2)


def test_a_position_without_a_background_is_left_out():
    signals = [np.array([9.0, 4.0]), np.array([9.0, 2.0]), np.array([9.0, np.nan])]
    masks = [np.array([True, True]), np.array([True, False]), np.array([True, False])]
    assert by_positions(signals, masks, 9, 0)[:2] == (4, 2)
    assert np.isnan(by_positions(signals, [np.array([True, False])] * 3, 9, 0).p)


def test_shifts_that_change_nothing_are_no_finding():
    """A signal of period 2 on an annotation of period 2: every other shift gives the very same mean."""
    signal, mask = np.tile([0.1, 0.7], 50), np.arange(100) % 2 == 1
    assert by_shifts([signal], [mask], 199, 0).p > 0.5


def test_masked_bases_are_as_if_they_were_not_there():
    generator = np.random.default_rng(0)
    signal, mask = smooth_noise(generator, 60), random_mask(generator, 60)
    longer, also = np.insert(signal, 30, [np.nan] * 7), np.insert(mask, 30, [True] * 7)
    one, other = by_shifts([signal], [mask], 99, 0), by_shifts([longer], [also], 99, 0)
    assert one.p == other.p
    assert one.inside == pytest.approx(other.inside)
    assert feature_enrichment({-1: [longer]}, {"x": [(28, 40)]}).bases[0] == 5


def test_annotation_without_a_background_is_not_tested():
    for masks in ([np.ones(5, bool)], [np.zeros(5, bool)]):
        assert np.isnan(by_shifts([np.arange(5.0)], masks, 9, 0).p)
    found = feature_enrichment({-1: [np.arange(5.0)]}, {"all": [(0, 5)], "some": [(0, 2)]})
    assert np.isnan(found.q[0])
    assert found.q[1] == found.p[1], "what was not tested does not count in the correction"


def test_positions_are_chosen_where_they_can_be_compared():
    signals, masks = [np.ones(6)] * 8, [np.arange(6) == place % 6 for place in range(8)]
    assert chosen_background(signals, masks) == "positions"
    assert chosen_background(signals[:7], masks[:7]) == "shifts"
    assert chosen_background([*signals[:7], np.ones(7)], [*masks[:7], np.zeros(7, bool)]) == "shifts"
    assert chosen_background(signals, [np.arange(6) < 2] * 8) == "shifts", "all have it at the same place"


# --- all kinds --------------------------------------------------------------------------------------------------------


def test_planted_enrichment_and_depletion_are_found_and_nothing_else():
    generator = np.random.default_rng(3)
    signals = {layer: [smooth_noise(generator, 200) for _ in range(12)] for layer in (0, 2)}
    annotations = [[] for _ in range(12)]
    for rank in range(12):
        for name in ("more", "less", "chance"):
            for start in generator.integers(0, 196, 3):
                annotations[rank].append((int(start), int(start) + 4, name))
                factor = {"more": 2.5, "less": 0.4, "chance": 1}[name]
                signals[2][rank][start : start + 4] *= factor
    table = feature_enrichment(signals, annotations, permutations=499).to_dataframe().set_index(["feature", "layer"])
    found = table.loc[table["q"] < 0.05].index.tolist()
    assert found == [("more", 2), ("less", 2)]
    assert table.loc[("more", 2), "fold"] > 1.5 > 0.8 > table.loc[("less", 2), "fold"]
    assert table.loc[("more", 2), "effect"] > 0.5
    assert (table["null_low"] < 1).all()
    assert (table["null_high"] > 1).all()


def test_a_trend_is_no_enrichment_against_the_same_positions():
    generator = np.random.default_rng(0)
    signals = [np.linspace(3, 1, 100) * generator.gamma(9, 0.1, 100) for _ in range(20)]
    early = [[(int(start), int(start) + 4, "early") for start in generator.integers(0, 40, 3)] for _ in range(20)]
    against = {way: feature_enrichment({-1: signals}, early, way) for way in ("shifts", "positions")}
    assert against["shifts"].q[0] < 0.01
    assert against["positions"].q[0] > 0.05


def test_the_record_says_how_it_was_made():
    signals = {1: [np.random.default_rng(0).random(50)]}
    found = feature_enrichment(signals, {"x": [(0, 5)]}, permutations=19, seed=5, signal="this", error=0.1, model="ab")
    assert (found.permutations, found.seed, found.signal, found.error, found.model) == (19, 5, "this", 0.1, "ab")
    assert (found.background, found.sequences, found.layers.tolist()) == (("shifts",), 1, [1])
    again = feature_enrichment(signals, {"x": [(0, 5)]}, permutations=19, seed=5)
    assert found.p[0] == again.p[0] >= 1 / 20


def test_what_cannot_be_asked_is_refused():
    for options in ({"background": "none"}, {"permutations": 0}):
        with pytest.raises(ConfigurationError, match="expected auto, positions or shifts"):
            feature_enrichment({-1: [np.ones(5)]}, {"x": [(0, 2)]}, **options)
