"""Batches: every example once an epoch, in an order that depends on the seed and the epoch alone."""

import numpy as np
import pytest
import torch

from genomic_lens.errors import ConfigurationError
from genomic_lens.training import CurriculumLearner
from genomic_lens.training.batches import EpochLoader, SeededBatchSampler


def order(sampler, epoch):
    sampler.set_epoch(epoch)
    return [index for batch in sampler for index in batch]


@pytest.mark.parametrize(("items", "batch_size"), [(10, 3), (12, 4), (3, 8), (1, 1)])
def test_every_item_comes_once_an_epoch_in_full_batches_but_the_last(items, batch_size):
    sampler = SeededBatchSampler(items, batch_size, seed=5)
    for epoch in range(3):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert sorted(index for batch in batches for index in batch) == list(range(items))
        assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(sampler) - 1)
        assert len(batches) == len(sampler)


def test_the_order_does_not_depend_on_what_happened_before():
    """Neither on earlier epochs, finished or broken off, nor on the state of any random generator."""
    fresh = order(SeededBatchSampler(50, 4, seed=1), 3)
    used = SeededBatchSampler(50, 4, seed=1)
    order(used, 0), next(iter(used)), torch.rand(7), np.random.default_rng(0).random(3)
    assert order(used, 3) == fresh
    assert order(used, 3) == fresh


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [tuple(order(SeededBatchSampler(50, 4, seed), epoch)) for seed in (0, 1, 2) for epoch in (0, 1, 2)]
    assert len(set(orders)) == 9
    assert tuple(range(50)) not in orders


def test_items_meet_others_in_every_epoch():
    """Shuffled items, not shuffled batches: hardly any pair that shared a batch does so again."""
    sampler, pairs = SeededBatchSampler(400, 2, seed=0), []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        pairs.append({frozenset(batch) for batch in sampler})
    assert len(pairs[0] & pairs[1]) < 10


def test_the_loader_passes_the_epoch_on():
    data = list(range(20))
    loader = EpochLoader(data, SeededBatchSampler(20, 6, seed=2))
    epochs = []
    for epoch in (0, 1, 0):
        loader.set_epoch(epoch)
        epochs.append(torch.cat(list(loader)).tolist())
    assert epochs[0] == epochs[2] != epochs[1]
    assert epochs[1] == order(SeededBatchSampler(20, 6, seed=2), 1)


@pytest.mark.parametrize(("items", "batch_size"), [(0, 4), (4, 0), (4, -1)])
def test_nothing_to_draw_is_refused(items, batch_size):
    with pytest.raises(ConfigurationError, match=f"{items} items in batches of {batch_size}"):
        SeededBatchSampler(items, batch_size)


# --- a budget of tokens ---------------------------------------------------------------------------------------------


def shapes_of(trainer):
    """Sequences and tokens of every batch that the model is given while it trains."""
    shapes, forward = [], trainer.model.forward

    def watching(*arguments, **inputs):
        shapes.append(tuple(inputs["input_ids"].shape))
        return forward(*arguments, **inputs)

    trainer.model.forward = watching
    return shapes


def test_a_run_by_budget_stays_within_it_and_ends_where_the_schedule_does(make_trainer):
    trainer = make_trainer(batch_tokens=40, num_epochs=3)
    shapes = shapes_of(trainer)
    history = trainer.train()
    assert all(rows * tokens <= 40 for rows, tokens in shapes)
    assert sum(rows for rows, _ in shapes) == 3 * 24
    assert len(shapes) == history["step"].max() == trainer.hf.state.max_steps
    assert trainer.hf.lr_scheduler.get_last_lr()[0] == 0
    assert len({rows for rows, _ in shapes}) > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_tokens": 15}, "of 6 to 16 tokens came for batches of 15 tokens"),
        ({"batch_tokens": 40, "curriculum": CurriculumLearner([{"max_length": 8}])}, "came with a curriculum"),
        ({"batch_tokens": 0}, "batch_tokens is 0; expected a whole number of at least 1, or None"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused(make_trainer, options, message):
    with pytest.raises(ConfigurationError, match=message):
        make_trainer(**options).train()
