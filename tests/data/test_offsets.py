"""Tokens become bases: what is shared keeps its sum, what is repeated keeps its level."""

import numpy as np
import pytest

from genomic_lens.data.offsets import tokens_to_bases
from genomic_lens.errors import DataError


def kmer_spans(length: int, width: int) -> np.ndarray:
    start = np.arange(length - width + 1)
    return np.stack([start, start + width], axis=1)


def slow(values, spans, length, how):
    """The definition, token by token and base by base."""
    out = np.full((length, *np.shape(values)[1:]), np.nan)
    for base in range(length):
        over = [index for index, (start, stop) in enumerate(spans) if start <= base < stop]
        if over and how == "share":
            out[base] = sum(values[index] / (spans[index][1] - spans[index][0]) for index in over)
        elif over:
            out[base] = np.mean([values[index] for index in over], axis=0)
    return out


@pytest.mark.parametrize("how", ["share", "repeat"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 4)])
def test_agrees_with_the_definition_on_overlapping_uneven_and_missing_spans(how, shape):
    spans = np.array([[0, 0], [0, 3], [1, 4], [4, 5], [7, 9], [7, 8], [9, 9]])
    values = np.random.default_rng(0).normal(size=(7, *shape))
    np.testing.assert_allclose(tokens_to_bases(values, spans, 10, how), slow(values, spans, 10, how), atol=1e-15)


def test_shared_contributions_keep_their_sum_and_repeated_levels_their_height():
    values, spans = np.random.default_rng(1).normal(size=18), kmer_spans(20, 3)
    assert tokens_to_bases(values, spans, 20).sum() == pytest.approx(values.sum())
    np.testing.assert_allclose(tokens_to_bases(np.full(18, 0.7), spans, 20, "repeat"), 0.7)


def test_one_token_a_base_changes_nothing_and_special_tokens_are_left_out():
    values = np.array([9.0, 1.0, 2.0, 3.0, 9.0])
    spans = np.array([[0, 0], [0, 1], [1, 2], [2, 3], [3, 3]])
    for how in ("share", "repeat"):
        np.testing.assert_array_equal(tokens_to_bases(values, spans, 3, how), [1.0, 2.0, 3.0])


def test_base_without_a_token_is_missing_rather_than_zero():
    np.testing.assert_array_equal(tokens_to_bases([1.0], [[1, 2]], 3), [np.nan, 1.0, np.nan])
    assert np.isnan(tokens_to_bases(np.zeros(0), np.zeros((0, 2), int), 4)).all()


def test_missing_token_makes_only_its_own_bases_missing():
    np.testing.assert_array_equal(tokens_to_bases([np.nan, 2.0], [[0, 1], [1, 3]], 3), [np.nan, 1.0, 1.0])


@pytest.mark.parametrize(
    ("values", "spans"),
    [([1.0], [[0, 1], [1, 2]]), ([1.0], [[0, 4]]), ([1.0], [[-1, 1]]), ([1.0, 2.0], [[2, 1], [0, 1]])],
    ids=["too many spans", "beyond the end", "before the start", "backwards"],
)
def test_spans_that_do_not_fit_are_refused(values, spans):
    with pytest.raises(DataError, match=f"{len(values)} values with {len(spans)} spans came for 3 bases"):
        tokens_to_bases(values, spans, 3)


def test_unknown_way_is_refused():
    with pytest.raises(DataError, match="'shair'"):
        tokens_to_bases([1.0], [[0, 1]], 1, how="shair")
