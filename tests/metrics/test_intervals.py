"""The bootstrap: planted coverage, groups, honesty about undefined resamples."""

import numpy as np
import pytest

from genomic_lens.errors import DataError
from genomic_lens.metrics.intervals import bootstrap_interval, bootstrap_scores, draws, group_codes


def test_interval_covers_the_true_rate_of_bernoulli_trials():
    generator = np.random.default_rng(11)
    covered = 0
    for seed in range(200):
        trials = (generator.random(100) < 0.7).astype(float)
        found = bootstrap_interval(np.mean, trials, resamples=200, seed=seed)
        covered += found.low <= 0.7 <= found.high
    assert 0.9 <= covered / 200 <= 0.99


def test_a_higher_level_gives_a_wider_interval():
    values = np.random.default_rng(0).normal(size=50)
    narrow, wide = (bootstrap_interval(np.mean, values, level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_same_seed_same_interval_other_seed_other_interval():
    values = np.random.default_rng(0).normal(size=50)
    first, again, other = (bootstrap_interval(np.mean, values, seed=seed, resamples=100) for seed in (3, 3, 4))
    assert first == again
    assert (first.low, first.high) != (other.low, other.high)


def test_copies_declared_as_groups_change_nothing_and_undeclared_halve_the_interval():
    flips = np.repeat([0.0, 1.0], [40, 60])
    copies, coin = np.repeat(flips, 4), np.repeat(np.arange(100), 4)
    original = bootstrap_interval(np.mean, flips)
    grouped = bootstrap_interval(np.mean, copies, groups=coin)
    ungrouped = bootstrap_interval(np.mean, copies)
    assert (grouped.low, grouped.high) == pytest.approx((original.low, original.high))
    ratio = (grouped.high - grouped.low) / (ungrouped.high - ungrouped.low)
    assert ratio == pytest.approx(2, rel=0.15)


def test_items_of_a_group_are_drawn_together_and_each_draw_has_as_many_groups():
    codes = np.array([0, 2, 1, 2, 0, 2])
    weights = np.array([np.bincount(drawn, minlength=6) for drawn in draws(codes, 50, seed=1)])
    assert (weights[:, 0] == weights[:, 4]).all()
    assert (weights[:, 1] == weights[:, 5]).all()
    assert (weights[:, [0, 1, 2]].sum(1) == 3).all()
    assert weights[:, 0].mean() == pytest.approx(1, abs=0.3)


def test_all_metrics_see_the_same_resamples():
    values = np.random.default_rng(0).normal(size=50)
    both = bootstrap_scores({"mean": np.mean, "minus": lambda x: -x.mean()}, values, resamples=100)
    assert (both["mean"].low, both["mean"].high) == pytest.approx((-both["minus"].high, -both["minus"].low))


def test_undefined_resamples_are_skipped_and_counted():
    def smallest_of_positives(values):
        return values[values > 0].min() if (values > 0).any() else np.nan

    values = np.array([1.0, 0.0, 0.0, 0.0])  # a resample misses the 1 with probability (3/4)^4 = 0.316
    found = bootstrap_interval(smallest_of_positives, values, resamples=500)
    assert found.resamples / 500 == pytest.approx(1 - 0.316, abs=0.06)
    assert (found.low, found.high) == (1, 1)


def test_mostly_undefined_resamples_are_refused():
    def only_on_all(values):
        return 1.0 if len(set(values)) == 6 else np.nan

    with pytest.raises(DataError, match="only_on_all is undefined on .* of 100 resamples"):
        bootstrap_interval(only_on_all, np.arange(6), resamples=100)


def test_a_metric_that_is_undefined_on_all_items_is_refused():
    with pytest.raises(DataError, match="undefined on these 3 items"):
        bootstrap_interval(lambda values: np.nan, np.arange(3))


def test_without_resamples_the_value_comes_alone_even_for_one_group():
    """A score while training needs no interval, and must not be refused for what only an interval needs."""
    found = bootstrap_interval(np.mean, np.array([1.0, 2.0, 6.0]), groups=["a", "a", "a"], resamples=0)
    assert (found.value, found.groups, found.resamples) == (3, 1, 0)
    assert np.isnan([found.low, found.high]).all()
    assert np.isnan(bootstrap_scores({"mean": np.mean}, np.arange(3.0), resamples=0)["mean"].low)
    assert np.isnan(bootstrap_interval(lambda values: np.nan, np.arange(3), resamples=0).value)
    assert str(found) == f"{found.name} 3.000 (n = 3)"


@pytest.mark.parametrize(
    ("arrays", "settings", "message"),
    [
        (([1, 2], [1, 2, 3]), {}, r"lengths \[2, 3\]"),
        (([],), {}, "no item"),
        (([1, 2],), {"level": 1.0}, "level is 1.0"),
        (([1, 2],), {"resamples": -1}, "resamples is -1"),
        (([1, 2],), {"groups": ["a", "a"]}, "one group"),
        (([1, 2],), {"groups": ["a"]}, "groups has shape"),
        (([1, 2],), {"groups": ["a", None]}, "1 groups are missing"),
    ],
)
def test_bad_input_is_refused_in_words(arrays, settings, message):
    with pytest.raises(DataError, match=message):
        bootstrap_interval(lambda *values: np.mean(values[0]), *arrays, **settings)


def test_groups_of_sequences_spread_over_their_positions():
    assert group_codes(["x", "y"], (2, 3)).tolist() == [[0, 0, 0], [1, 1, 1]]
    assert group_codes(None, (2, 2)).tolist() == [[0, 0], [1, 1]]


def test_scores_carry_how_they_were_made():
    settings = {"groups": list("aabbcc"), "level": 0.9, "resamples": 50, "seed": 9}
    score = bootstrap_scores({"mean": np.mean}, np.arange(6.0), **settings)["mean"]
    assert (score.name, score.value, score.level, score.items, score.groups) == ("mean", 2.5, 0.9, 6, 3)
    assert (score.resamples, score.seed) == (50, 9)
    assert score.low < 2.5 < score.high
