"""Regression scores: cases solved by hand, parity with scikit-learn and scipy, masks, refusals."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from genomic_lens.errors import DataError
from genomic_lens.metrics.regression import pearson, r2, regression_scores, spearman


def simulate(items=80, seed=0):
    generator = np.random.default_rng(seed)
    truth = generator.normal(10, 2, size=items).round(1)
    return truth, (truth + generator.normal(size=items)).round(1)


def test_a_case_by_hand():
    scores = regression_scores([1.0, 2.0, 3.0, 6.0], [1.0, 3.0, 2.0, 6.0], resamples=50)
    assert scores["mse"].value == pytest.approx(0.5)
    assert scores["mae"].value == pytest.approx(0.5)
    assert scores["r2"].value == pytest.approx(1 - 2 / 14)
    assert scores["pearson"].value == pytest.approx(13 / 14)
    assert scores["spearman"].value == pytest.approx(1 - 6 * 2 / (4 * 15))


def test_values_are_those_of_scikit_learn_and_scipy():
    truth, predictions = simulate()
    scores = regression_scores(truth, predictions, resamples=20)
    assert scores["mse"].value == mean_squared_error(truth, predictions)
    assert scores["mae"].value == mean_absolute_error(truth, predictions)
    assert scores["r2"].value == pytest.approx(r2_score(truth, predictions), rel=1e-12)
    assert scores["pearson"].value == pytest.approx(stats.pearsonr(truth, predictions).statistic)
    assert scores["spearman"].value == pytest.approx(stats.spearmanr(truth, predictions).statistic)


@pytest.mark.parametrize("metric", [r2, pearson, spearman])
def test_nothing_that_varies_is_undefined_and_not_a_number_from_rounding(metric):
    truth, predictions = np.array([0.1, 0.1, 0.1, 0.7]), np.array([0.3, 0.2, 0.4, 0.1])
    assert np.isfinite(metric(truth, predictions))
    assert np.isnan(metric(truth[:3], predictions[:3]))
    assert np.isnan(metric(truth[:1], predictions[:1]))


def test_missing_measurements_are_left_out_with_their_groups():
    truth, predictions = simulate()
    group = np.arange(80) // 2
    expected = regression_scores(truth, predictions, groups=group, resamples=50)
    found = regression_scores([*truth, np.nan], [*predictions, np.nan], groups=[*group, 99], resamples=50)
    assert found == expected


def test_grouped_intervals_of_copied_rows_are_wider():
    truth, predictions = simulate()
    rows = np.repeat(np.arange(80), 4)
    grouped = regression_scores(truth[rows], predictions[rows], groups=rows, resamples=200)
    ungrouped = regression_scores(truth[rows], predictions[rows], resamples=200)
    for name, score in grouped.items():
        assert score.high - score.low > 1.5 * (ungrouped[name].high - ungrouped[name].low)


def test_a_column_is_a_list():
    truth, predictions = simulate()
    column = regression_scores(truth[:, None], predictions[:, None], resamples=20)
    assert column == regression_scores(truth, predictions, resamples=20)


@pytest.mark.parametrize(
    ("truth", "predictions", "message"),
    [
        ([1.0, 2.0], [1.0], "truth has shape"),
        (np.ones((3, 2)), np.ones((3, 2)), "one by one"),
        ([], [], "None of the 0 measurements"),
        ([np.nan, np.nan], [1.0, 2.0], "None of the 2 measurements"),
        ([1.0, 2.0], [1.0, np.nan], "not finite"),
        ([1.0, np.inf], [1.0, 2.0], "infinite"),
        ([1.0, 2.0, 3.0], [5.0, 5.0, 5.0], "pearson is undefined"),
    ],
)
def test_bad_input_is_refused_in_words(truth, predictions, message):
    with pytest.raises(DataError, match=message):
        regression_scores(truth, predictions)


def test_a_constant_prediction_can_still_be_scored_by_its_errors():
    scores = regression_scores([1.0, 2.0, 3.0], [5.0, 5.0, 5.0], metrics=["mse", "r2"], resamples=200)
    assert scores["mse"].value == pytest.approx((16 + 9 + 4) / 3)
    assert scores["r2"].value == pytest.approx(1 - 29 / 2)


def test_resamples_in_which_nothing_varies_are_left_out_and_warn_of_nothing(recwarn):
    scores = regression_scores([1.0, 2.0, 3.0], [1.0, 3.0, 2.0], resamples=200)
    for name in ("r2", "pearson", "spearman"):
        assert scores[name].resamples / 200 == pytest.approx(8 / 9, abs=0.08)  # 3 of 27 draws hold one item only
    assert scores["mse"].resamples == 200
    assert not recwarn.list
