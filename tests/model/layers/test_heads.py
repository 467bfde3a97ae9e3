"""Pooling over the positions that count, and the heads behind it."""

import pytest
import torch

from genomic_lens.errors import ConfigurationError
from genomic_lens.model.layers.heads import (
    PositionWeights,
    RegressionHead,
    SequenceClassificationHead,
    pool,
    pool_weights,
)

WAYS = ["mean", "last", "first"]


def random_masks() -> torch.Tensor:
    """Holes, ends, a single position, and none at all."""
    torch.manual_seed(0)
    masks = torch.rand(20, 9) > 0.6
    masks[0], masks[1] = True, False
    masks[2] = torch.arange(9) == 4
    return masks


@pytest.mark.parametrize("how", WAYS)
def test_pooling_agrees_with_a_loop_over_sequences(how):
    masks = random_masks()
    hidden = torch.randn(20, 9, 3)
    pooled = pool(hidden, masks, how)
    for row, mask, states in zip(pooled, masks, hidden, strict=True):
        kept = states[mask]
        ways = {"mean": lambda kept: kept.mean(0), "last": lambda kept: kept[-1], "first": lambda kept: kept[0]}
        expected = ways[how](kept) if len(kept) else torch.zeros(3)
        torch.testing.assert_close(row, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("how", WAYS)
def test_weights_sum_to_one_on_unmasked_positions_only(how):
    masks = random_masks()
    weights = pool_weights(masks, how)
    torch.testing.assert_close(weights.sum(1), masks.any(1).float())
    assert (weights[~masks] == 0).all()


def test_long_sequences_are_counted_without_rounding():
    """In half precision, counting positions would stop at 256."""
    mask = torch.ones(1, 5000, dtype=torch.bool)
    hidden = torch.zeros(1, 5000, 1, dtype=torch.bfloat16)
    hidden[0, -1] = 3.0
    assert pool(hidden, mask, "last").item() == 3.0
    assert pool_weights(mask, "mean").sum().item() == pytest.approx(1.0)


def test_unknown_way_is_refused():
    with pytest.raises(ConfigurationError, match="'max' came; expected mean, last, first, sum or position"):
        pool(torch.zeros(1, 2, 3), torch.ones(1, 2, dtype=torch.bool), "max")


@pytest.mark.parametrize("head", [SequenceClassificationHead(4, 3, dropout=0.5), RegressionHead(4, 2, dropout=0.5)])
def test_heads_are_affine_and_drop_out_in_training_alone(head):
    torch.manual_seed(0)
    one, other = torch.randn(2, 1, 4)
    head.eval()
    torch.testing.assert_close(head((one + other) / 2), (head(one) + head(other)) / 2)
    torch.testing.assert_close(head(torch.zeros(1, 4))[0], head.score.bias)
    head.train()
    assert len({tuple(head(one)[0].tolist()) for _ in range(20)}) > 1


def test_regression_gives_one_value_by_default():
    assert RegressionHead(4).score.out_features == 1


def test_weights_follow_the_position_among_tokens_that_are_no_padding():
    weights = PositionWeights(length=3, width=2)
    weights.weight.data = torch.tensor([[0.0, 1.0], [1.0, 0.0], [2.0, -1.0]]) / 3
    masks = torch.tensor([[True, True, True], [False, True, True], [True, True, False]])
    found = weights(torch.ones(3, 3, 2), masks)
    first, second, third = torch.tensor([[1.0, 2.0], [2.0, 1.0], [3.0, 0.0]])
    torch.testing.assert_close(found[0], torch.stack([first, second, third]))
    torch.testing.assert_close(found[1, 1:], torch.stack([first, second]))
    torch.testing.assert_close(found[2, :2], torch.stack([first, second]))
    torch.testing.assert_close(weights(torch.ones(1, 1, 2), masks[:1, :1], before=2)[0, 0], third)
