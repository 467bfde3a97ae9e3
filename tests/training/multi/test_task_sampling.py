"""The task of a step: by its share, the same in all processes and after an interruption."""

import numpy as np
import pytest

from genomic_lens.data.datasets import GenomicDataset
from genomic_lens.errors import ConfigurationError
from genomic_lens.training.multi.task_sampling import Item, JoinedDataset, TaskSampler, task_shares, tasks_of_steps
from genomic_lens.training.objectives.examples import Objective, ObjectiveDataset


def all_batches(sampler, epochs):
    found = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        found += list(sampler)
    return found


def test_shares_are_proportional_to_weights_sizes_or_something_between():
    assert task_shares([10, 30], [1, 3]).tolist() == [0.25, 0.75]
    assert task_shares([10, 30]).tolist() == [0.5, 0.5]
    assert task_shares([10, 30], "size").tolist() == [0.25, 0.75]
    between = task_shares([10, 90], "size", temperature=2)
    np.testing.assert_allclose(between, [0.25, 0.75])
    np.testing.assert_allclose(task_shares([10, 90], "size", temperature=1e6), [0.5, 0.5], atol=1e-4)


@pytest.mark.parametrize(
    ("weights", "temperature", "words"),
    [
        ([1, 0], 1, "leave a task out"), ([1, -1], 1, "above 0"), ([1, float("nan")], 1, "above 0"),
        ([1], 1, "1 weights came for 2 tasks"), ("sizes", 1, "'equal', 'size'"), ("equal", 0, "temperature=0"),
    ],
)  # fmt: skip
def test_weights_that_cannot_be_are_refused_in_a_sentence(weights, temperature, words):
    with pytest.raises(ConfigurationError, match=words):
        task_shares([4, 4], weights, temperature)


def test_tasks_come_as_often_as_their_shares_say():
    drawn = tasks_of_steps((0.2, 0.5, 0.3), seed=3, steps=20_000)
    np.testing.assert_allclose(np.bincount(drawn) / len(drawn), [0.2, 0.5, 0.3], atol=0.015)


def test_a_longer_run_begins_as_a_shorter_one():
    short = TaskSampler([20, 12], [0.5, 0.5], 4, steps=5, epochs=2, seed=7)
    long = TaskSampler([20, 12], [0.5, 0.5], 4, steps=10, epochs=1, seed=7)
    bare = [[item._replace(epoch=0) for item in batch] for batch in all_batches(short, 2)]
    assert bare == list(long)


def test_a_step_depends_on_nothing_that_was_asked_before():
    straight = all_batches(TaskSampler([20, 12], [0.6, 0.4], 4, epochs=3, seed=1), 3)
    fresh = TaskSampler([20, 12], [0.6, 0.4], 4, epochs=3, seed=1)
    for number in np.random.default_rng(0).permutation(len(straight)):
        assert fresh.batch(int(number)) == straight[number]


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("difficulty", [None, [np.arange(21.0), np.arange(10.0)]])
def test_two_processes_read_the_same_task_and_together_what_one_reads(accumulation, difficulty):
    """One process with a batch of 8 reads what two with batches of 4 read."""
    options = {"epochs": 4, "seed": 5, "accumulation": accumulation, "difficulty": difficulty}
    whole = all_batches(TaskSampler([21, 10], [0.7, 0.3], 8, **options), 4)
    parts = [
        all_batches(TaskSampler([21, 10], [0.7, 0.3], 4, rank=rank, processes=2, **options), 4) for rank in (0, 1)
    ]
    assert len(whole) == len(parts[0]) == len(parts[1])
    for together, first, second in zip(whole, *parts, strict=True):
        assert len({item.task for item in first + second}) == 1
        assert sorted(first + second) == sorted(together)


def test_the_batches_of_a_step_are_of_one_task_and_differ():
    sampler = TaskSampler([40, 40], [0.5, 0.5], 4, accumulation=3, seed=2)
    for step in range(sampler.steps):
        batches = [sampler.batch(3 * step + part) for part in range(3)]
        items = [item for batch in batches for item in batch]
        assert {item.task for item in items} == {sampler.task(step)}
        assert len(set(items)) >= 8  # a pass may end within the step


def test_every_task_passes_over_all_its_examples_before_one_comes_again():
    sampler = TaskSampler([10, 7], [0.5, 0.5], 2, steps=200, seed=0)
    items = [item for batch in sampler for item in batch]
    for task, size in enumerate((10, 7)):
        seen = [item.index for item in items if item.task == task]
        passes = [seen[start : start + size] for start in range(0, len(seen) - size + 1, size)]
        assert all(sorted(one) == list(range(size)) for one in passes)
        assert len({tuple(one) for one in passes}) > 1


def test_lengths_follow_each_other_over_equal_parts_of_the_run():
    sampler = TaskSampler([8, 8], [0.5, 0.5], 4, steps=6, epochs=2, lengths=[4, 8, 16])
    lengths = [batch[0].length for batch in all_batches(sampler, 2)]
    assert lengths == [4] * 4 + [8] * 4 + [16] * 4


def test_the_easiest_come_first():
    hard = [np.arange(100.0)[::-1], np.arange(50.0)]
    sampler = TaskSampler([100, 50], [0.5, 0.5], 4, steps=100, difficulty=hard, start=0.1)
    early = [hard[item.task][item.index] / len(hard[item.task]) for item in sampler.batch(0)]
    late = [hard[item.task][item.index] / len(hard[item.task]) for n in range(90, 100) for item in sampler.batch(n)]
    assert max(early) < 0.12
    assert max(late) > 0.8


def test_a_small_task_is_not_repeated_within_a_batch():
    sampler = TaskSampler([2, 64], [0.5, 0.5], 16, steps=20)
    assert {len(batch) for batch in sampler if batch[0].task == 0} == {2}


@pytest.mark.parametrize(
    "options",
    [{"sizes": [0, 4]}, {"sizes": []}, {"batch_size": 0}, {"shares": [1.0]}, {"rank": 2}, {"lengths": [0]},
     {"difficulty": [np.arange(3), np.arange(4)]}],
)  # fmt: skip
def test_numbers_that_cannot_be_are_refused(options):
    with pytest.raises(ConfigurationError, match="came"):
        TaskSampler(**{"sizes": [4, 4], "shares": [0.5, 0.5], "batch_size": 2} | options)


def test_joined_data_give_the_asked_example_its_task_and_its_epoch():
    class Drawn(GenomicDataset):
        epoch = None

        def set_epoch(self, epoch):
            self.epoch = epoch

    parts = [GenomicDataset(["ACGT"], [1]), Drawn(["TTTTT", "GG"], [0, 1])]
    data = JoinedDataset([ObjectiveDataset(part, Objective("classification")) for part in parts])
    example = data[Item(task=1, index=0, length=3, epoch=4)]
    assert (example["input_ids"].tolist(), int(example["labels"]), example["task"]) == ([10, 10, 10], 0, 1)
    assert parts[1].epoch == 4
    assert data[Item(task=1, index=1, epoch=4)]["input_ids"].tolist() == [9, 9]
