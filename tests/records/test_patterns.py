"""Records of patterns: whole after a file, and means that can be counted by hand."""

from dataclasses import fields

import numpy as np
import pytest

from genomic_lens.records import (
    AttentionSummary,
    ConvolutionPatterns,
    FeatureEnrichment,
    PositionalPatterns,
)

TWO = np.array([1.0, 2.0])
EXAMPLES = [
    AttentionSummary(
        np.array([0, 1, 1]), np.array([-1, 0, 1]), ("norm", "weights", "weights"), np.array([3.0, 1.0, 2.0]),
        np.full(3, 4.0), np.array([5.0, 1.0, 9.0]), np.array([0.5, 0.7, np.nan]), np.full(3, 30), length=30,
        aggregation="per_head", seed=2, model="ab",
    ),
    ConvolutionPatterns(
        1, 0, np.arange(2.0), np.array([[3.0, 4.0], [0.0, 0.0]]), TWO / 4, np.ones((2, 2)), np.full((2, 2), np.nan),
        TWO,
        np.array([3.0, np.inf]), TWO, np.array([1.0, 2.0]), np.arange(2.0), np.array([[6.0, 8.0], [2.0, 0.0]]),
        np.array([2, 1]), bases_per_lag=1.5, read_from="modes", longest=96, sequences=4, model="ab",
    ),
    PositionalPatterns(
        0, -1, "norm", "value", np.arange(-1, 3), np.array([1.0, 2.0, 1.0, np.nan]), np.array([3, 4, 3, 0]),
        np.array([0.2, 0.5, 0.2, 0.1]), 1.5, 2.0, 0.6, np.array([3.0]), np.array([0.1]), np.array([4.0]),
        np.array([0.01]), np.array([0.02]), 50, 4, 2, seed=1, model="ab",
    ),
    FeatureEnrichment(
        ("GT", "all"), np.array([0, 0]), TWO, np.ones(2), TWO, TWO, TWO, TWO, np.array([0.01, np.nan]),
        np.array([0.02, np.nan]), np.array([3, 1]), np.array([6, 9]), ("positions", "shifts"), "attention", error=0.1,
        sequences=4, permutations=99, seed=3, model="ab",
    ),
]  # fmt: skip
NAMES = [type(record).__name__ for record in EXAMPLES]


@pytest.mark.parametrize("record", EXAMPLES, ids=NAMES)
def test_what_was_saved_comes_back_equal_in_value_and_type(record, tmp_path):
    again = type(record).load(record.save(tmp_path / "record.npz"))
    for item in fields(record):
        before, after = getattr(record, item.name), getattr(again, item.name)
        assert type(after) is type(before), item.name
        np.testing.assert_array_equal(after, before)
    assert set(record.to_dict()) == {item.name for item in fields(record)}


def test_each_layer_counts_once_however_many_heads_it_has():
    summary = EXAMPLES[0]
    assert summary.avg_entropy == pytest.approx((3 + 1.5) / 2)
    assert summary.by_layer()["distance"].tolist() == [5, 5]
    assert summary.by_layer()["share"].tolist() == [0.5, 0.7], "what is not known is left out"
    assert summary.to_dataframe()["head"].tolist() == [-1, 0, 1]


def test_delays_and_profiles_are_means_by_energy_and_by_strength():
    patterns = EXAMPLES[1]
    np.testing.assert_allclose(patterns.delay, [16 / 25, np.nan])
    weight = np.array([1, 4]) / 5
    expected = np.sqrt([weight @ [9, 1], weight @ [64, 0]])
    np.testing.assert_allclose(patterns.mean_profile, expected)
    table = patterns.to_dataframe()
    assert list(table) == ["channel", "half_life", "period", "reach", "delay", "strength"]
    assert table["period"].tolist() == [3, np.inf]


def test_distances_hold_both_sides():
    patterns = EXAMPLES[2]
    assert [patterns.within(share) for share in (0.5, 0.6, 0.9, 0.91, 1.0)] == [0, 1, 1, 2, 2]
    assert patterns.to_dataframe()["pairs"].tolist() == [3, 4, 3, 0]
    assert patterns.avg_entropy == 1.5


def test_a_test_is_a_row():
    table = EXAMPLES[3].to_dataframe()
    assert table[["feature", "layer", "spans", "background"]].values.tolist() == [
        ["GT", 0, 3, "positions"], ["all", 0, 1, "shifts"]
    ]  # fmt: skip
