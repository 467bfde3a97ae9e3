"""Classification scores: cases solved by hand, parity with scikit-learn, groups, masks, refusals."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, roc_auc_score

from genomic_lens.errors import DataError
from genomic_lens.metrics.classification import auroc, classification_scores, mcc


def simulate(classes, items=120, seed=0):
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, classes, items)
    logits = generator.normal(size=(items, classes)).round(1) + 1.2 * np.eye(classes)[truth]
    chances = np.exp(logits)
    return truth, chances / chances.sum(1, keepdims=True)


def test_a_case_by_hand():
    truth = np.array([1, 1, 1, 0, 0, 0, 0, 0])
    score = np.array([0.9, 0.8, 0.3, 0.7, 0.4, 0.3, 0.2, 0.1])  # 2 hits, 1 miss, 1 false alarm, 4 rejections
    scores = classification_scores(truth, np.stack([1 - score, score], 1), resamples=50)
    assert scores["accuracy"].value == 6 / 8
    assert scores["macro_f1"].value == pytest.approx((2 * 2 / 6 + 2 * 4 / 10) / 2)
    assert scores["mcc"].value == pytest.approx((2 * 4 - 1 * 1) / np.sqrt(3 * 3 * 5 * 5))
    assert scores["auroc"].value == pytest.approx((5 + 5 + 2.5) / 15)


def test_a_constant_answer_has_no_correlation_and_no_order():
    truth = np.array([0] * 9 + [1])
    constant = np.tile([0.9, 0.1], (10, 1))
    assert mcc(truth, constant) == 0
    assert auroc(truth, constant) == 0.5


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_values_are_those_of_scikit_learn(classes):
    truth, chances = simulate(classes)
    named = chances.argmax(1)
    scores = classification_scores(truth, chances, resamples=20)
    assert scores["accuracy"].value == accuracy_score(truth, named)
    assert scores["macro_f1"].value == pytest.approx(f1_score(truth, named, average="macro"), rel=1e-12)
    assert scores["mcc"].value == pytest.approx(matthews_corrcoef(truth, named), rel=1e-12)
    column = chances[:, 1] if classes == 2 else chances
    assert scores["auroc"].value == pytest.approx(roc_auc_score(truth, column, multi_class="ovr"))


def test_auroc_of_several_classes_leaves_out_classes_that_never_occur():
    truth, chances = simulate(3, items=80)
    kept = truth != 2
    expected = np.mean([roc_auc_score(truth[kept] == label, chances[kept, label]) for label in (0, 1)])
    assert auroc(truth[kept], chances[kept]) == pytest.approx(expected)


@pytest.mark.parametrize("classes", [2, 3])
def test_auroc_of_one_class_is_undefined(classes):
    truth, chances = simulate(classes, items=20)
    assert np.isnan(auroc(np.ones_like(truth), chances))


def test_two_classes_are_ordered_by_the_second_column():
    truth, chances = simulate(2)
    expected = pytest.approx(roc_auc_score(truth, chances[:, 1]), rel=1e-12)
    assert auroc(truth, np.stack([np.zeros(120), chances[:, 1]], 1)) == expected


def test_resamples_without_a_class_are_left_out_of_auroc_only():
    truth = np.array([1, 0, 0, 0, 0, 0])
    chances = np.tile([0.6, 0.4], (6, 1))
    scores = classification_scores(truth, chances, resamples=200)
    assert scores["accuracy"].resamples == 200
    assert scores["auroc"].resamples / 200 == pytest.approx(1 - (5 / 6) ** 6, abs=0.08)


def test_interval_of_the_accuracy_covers_the_true_accuracy():
    generator = np.random.default_rng(5)
    covered = 0
    for seed in range(60):
        right = generator.random(120) < 0.8
        truth = generator.integers(0, 2, 120)
        chances = np.eye(2)[np.where(right, truth, 1 - truth)]
        score = classification_scores(truth, chances, resamples=100, seed=seed, metrics=["accuracy"])["accuracy"]
        covered += score.low <= 0.8 <= score.high
    assert 0.88 <= covered / 60 <= 0.99


def test_grouped_intervals_of_copied_rows_are_wider():
    truth, chances = simulate(3)
    copies, copied, group = np.repeat(truth, 4), np.repeat(chances, 4, axis=0), np.repeat(np.arange(120), 4)
    grouped = classification_scores(copies, copied, groups=group, resamples=150)
    ungrouped = classification_scores(copies, copied, resamples=150)
    for name, score in grouped.items():
        assert score.value == ungrouped[name].value
        assert score.high - score.low > 1.5 * (ungrouped[name].high - ungrouped[name].low)
        assert (score.items, score.groups) == (480, 120)


def test_masked_labels_are_left_out_with_their_groups():
    truth, chances = simulate(3)
    group = np.arange(120) // 3
    masked, noisy = np.append(truth, [-100, -100]), np.vstack([chances, [[np.nan] * 3, [0.2, 0.3, 0.5]]])
    expected = classification_scores(truth, chances, groups=group, resamples=50)
    assert classification_scores(masked, noisy, groups=[*group, 77, 78], resamples=50) == expected


def test_positions_of_a_sequence_are_resampled_together():
    truth, chances = simulate(2)
    by_position = classification_scores(truth.reshape(30, 4), chances.reshape(30, 4, 2), resamples=50)
    by_group = classification_scores(truth, chances, groups=np.repeat(np.arange(30), 4), resamples=50)
    assert by_position == by_group


def test_the_seed_decides():
    truth, chances = simulate(2)
    first, again, other = (classification_scores(truth, chances, seed=seed, resamples=50) for seed in (1, 1, 2))
    assert first == again
    assert (first["auroc"].low, first["auroc"].high) != (other["auroc"].low, other["auroc"].high)


@pytest.mark.parametrize(
    ("truth", "chances", "settings", "message"),
    [
        ([0, 1], [[0.5, 0.5]], {}, "truth has shape"),
        ([0, 1], [0.5, 0.5], {}, "truth has shape"),
        ([0, 2], [[0.5, 0.5]] * 2, {}, "A label is 2"),
        ([0, -1], [[0.5, 0.5]] * 2, {}, "A label is -1"),
        ([0, 0.5], [[0.5, 0.5]] * 2, {}, "A label is 0.5"),
        ([0, 1], [[0.5, np.nan]] * 2, {}, "NaN or not between 0 and 1"),
        ([0, 1], [[-2.0, 3.0]] * 2, {}, "pass the softmax"),
        ([], np.zeros((0, 2)), {}, "None of the 0 labels"),
        ([-100, -100], [[0.5, 0.5]] * 2, {}, "None of the 2 labels"),
        ([1, 1], [[0.5, 0.5]] * 2, {}, "All 2 labels are class 1"),
        ([0, 1], [[0.5, 0.5]] * 2, {"groups": ["a"]}, "groups has shape"),
        ([0, 1], [[0.5, 0.5]] * 2, {"groups": ["a", "a"]}, "one group"),
        ([0, 1], [[0.5, 0.5]] * 2, {"metrics": ["auc"]}, "Unknown metric 'auc'"),
    ],
)
def test_bad_input_is_refused_in_words(truth, chances, settings, message):
    with pytest.raises(DataError, match=message):
        classification_scores(truth, chances, **settings)


def test_one_class_can_still_be_scored_without_auroc():
    scores = classification_scores([1, 1, 1], [[0.2, 0.8], [0.6, 0.4], [0.1, 0.9]], metrics=["accuracy"], resamples=50)
    assert scores["accuracy"].value == pytest.approx(2 / 3)


def test_resamples_of_one_class_warn_of_nothing(recwarn):
    scores = classification_scores([0, 1, 1, 1], [[0.8, 0.2], [0.6, 0.4], [0.1, 0.9], [0.2, 0.8]], resamples=50)
    assert 0 < scores["auroc"].resamples < scores["mcc"].resamples == 50
    assert not recwarn.list
