"""A model of composition finds what composition tells, and nothing else."""

import numpy as np
import pytest

from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.training.multi.composition import (
    composition_losses,
    composition_model,
    composition_outputs,
    markov_bits,
)  # fmt: skip


def drawn(count, weights, length=60, seed=0):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("ACGT"), length, p=weights)) for _ in range(count)]


def test_it_finds_composition_and_is_blind_to_place():
    rich, poor = drawn(60, [0.2, 0.3, 0.3, 0.2]), drawn(60, [0.3, 0.2, 0.2, 0.3], seed=1)
    labels = np.repeat([0, 1], 60)
    order = np.random.default_rng(0).permutation(120)
    names = np.array(rich + poor, dtype=object)[order]
    outputs = composition_outputs(names[:80], labels[order][:80], names[80:], "classification")
    assert (outputs.argmax(1) == labels[order][80:]).mean() > 0.9
    even = drawn(120, [0.25] * 4, seed=2)
    moved = ["TTTAAACCC" + one if label else one + "TTTAAACCC" for one, label in zip(even, labels, strict=True)]
    moved = np.array(moved, dtype=object)[order]
    outputs = composition_outputs(moved[:80], labels[order][:80], moved[80:], "classification")
    assert (outputs.argmax(1) == labels[order][80:]).mean() < 0.75


def test_values_and_missing_classes():
    sequences = drawn(50, [0.25] * 4)
    share = np.array([one.count("G") / 60 for one in sequences])
    found = composition_outputs(sequences[:40], share[:40], sequences[40:], "regression")
    assert np.corrcoef(found, share[40:])[0, 1] > 0.95
    outputs = composition_outputs(sequences[:4], np.array([0, 0, 2, 2]), sequences[4:6], "classification", classes=3)
    assert outputs.shape == (2, 3)
    assert (outputs[:, 1] < -15).all()
    assert composition_outputs(sequences[:4], np.zeros(4, int), sequences[4:6], "classification").argmax() == 0
    with pytest.raises(ConfigurationError, match="came"):
        composition_model("ranking")


def test_bits_of_a_markov_model_by_hand():
    """After A three of four times comes C: with one of each counted, four of six."""
    found = markov_bits(["AC", "AC", "AC", "AA"], ["AC"], order=1)
    by_hand = [-np.log2((4 + 1) / (4 + 2)), -np.log2((3 + 1) / (4 + 2))]
    assert found[0] == pytest.approx(np.mean(by_hand))


def test_the_odd_ones_are_hard_and_the_order_is_that_of_the_seed():
    rich, poor = drawn(30, [0.1, 0.4, 0.4, 0.1]), drawn(30, [0.4, 0.1, 0.1, 0.4], seed=1)
    labels = np.repeat([0, 1], 30)
    labels[7] = 1
    losses = composition_losses(rich + poor, labels, "classification", seed=3)
    assert losses.argmax() == 7
    np.testing.assert_array_equal(losses, composition_losses(rich + poor, labels, "classification", seed=3))
    assert composition_losses(rich + [poor[0]], None, "language_model").argmax() == 30
    values = np.array([one.count("G") / 60 for one in rich + poor])
    values[11] += 3
    assert composition_losses(rich + poor, values, "regression").argmax() == 11
    with pytest.raises(DataError, match="One sequence"):
        composition_losses(["ACGT"], None, "language_model")
