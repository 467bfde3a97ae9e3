"""Leakage, splits, buckets and augmentation."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from torch.utils.data import DataLoader

from genomic_lens.data.alphabets import reverse_complement
from genomic_lens.data.datasets import BaseLabelDataset, GenomicDataset, PaddingCollator
from genomic_lens.data.preparation import (
    AugmentedDataset,
    TokenBudgetSampler,
    audit_leakage,
    padding_waste,
    split_by_group,
    token_lengths,
)  # fmt: skip
from genomic_lens.data.preparation.augmentation import shifted
from genomic_lens.data.preparation.buckets import length_classes
from genomic_lens.errors import ConfigurationError, DataError


def drawn(count, length=30, seed=0):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("ACGT"), length)) for _ in range(count)]


# --- leakage --------------------------------------------------------------------------------------------------------


def test_what_was_planted_is_found_and_nothing_else():
    clean = drawn(60)
    train = [*clean[:40], clean[0], reverse_complement(clean[1]), clean[2].lower()]
    test = [*clean[40:], clean[3], reverse_complement(clean[4]), clean[4]]
    labels = [0] * 40 + [1, 0, 0], [0] * 20 + [0, 1, 1]
    audit = audit_leakage({"train": (train, labels[0]), "test": (test, labels[1])})
    assert audit.duplicates.loc["train"].tolist() == [43, 40, 3, 1]
    assert audit.duplicates.loc["test"].tolist() == [23, 22, 1, 1]
    assert audit.shared.loc[("train", "test")].tolist() == [2, 3]
    assert sorted(audit.conflicts.splits) == [("train",), ("train", "test")]
    assert set(audit.conflicts.labels) == {(0, 1)}
    clear = audit_leakage({"train": (clean[:40], None), "test": (clean[40:], None)})
    assert clear.sentences() == []
    assert "Nothing was found" in str(clear)


def test_strands_are_told_apart_where_asked():
    splits = {"train": (["AAC"], [0]), "test": (["GTT"], [0])}
    assert audit_leakage(splits).shared["sequences"].tolist() == [1]
    assert audit_leakage(splits, strands=False).shared["sequences"].tolist() == [0]


def test_shortcuts_are_named_by_class_and_property():
    rng = np.random.default_rng(0)
    rich = ["".join(rng.choice(list("ACGT"), 50, p=[0.15, 0.35, 0.35, 0.15])) for _ in range(50)]
    found = audit_leakage({"train": ([*drawn(50, 50), *rich], ["plain"] * 50 + ["rich"] * 50)})
    auroc = found.shortcuts.set_index("property").auroc
    assert auroc["GC"] > 0.9
    assert auroc["length"] == 0.5
    assert [line for line in found.sentences() if line.startswith("GC alone tells 'rich'")]


def test_what_sits_in_the_tata_promoters_is_found():
    """Counts of the reference data, known beforehand: 56 repeated rows, 6 and 14 shared sequences, 15 conflicts."""
    folder = Path(os.environ.get("GENOMIC_LENS_SHARED", "../shared"), "data", "gue")
    files = {name: folder / f"prom_300_tata_{name}.csv.gz" for name in ("train", "test", "dev")}
    if not all(file.exists() for file in files.values()):
        pytest.skip(f"the promoters are not in {folder}")
    tables = {name: pd.read_csv(file) for name, file in files.items()}
    audit = audit_leakage({name: (table.sequence, table.label) for name, table in tables.items()}, strands=False)
    assert audit.duplicates.loc["train", "repeated"] == 56
    assert audit.shared.loc[[("train", "test"), ("train", "dev")], "sequences"].tolist() == [6, 14]
    assert len(audit.conflicts) == 15


@pytest.mark.parametrize("splits", [{}, {"train": ([], None)}, {"train": (["A"], [0, 1])}])
def test_nothing_to_audit_is_refused(splits):
    with pytest.raises(DataError):
        audit_leakage(splits)


# --- splits ---------------------------------------------------------------------------------------------------------


def test_groups_stay_whole_and_shares_are_near():
    rng = np.random.default_rng(0)
    groups, labels = rng.integers(0, 60, 3000), rng.integers(0, 2, 3000)
    parts = split_by_group(groups, labels, test=0.2, validation=0.1, seed=1)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(3000))
    members = [set(groups[rows]) for rows in parts.values()]
    assert not any(one & other for rank, one in enumerate(members) for other in members[:rank])
    assert {name: round(len(rows) / 3000, 1) for name, rows in parts.items()} == {
        "train": 0.7, "test": 0.2, "validation": 0.1,
    }  # fmt: skip
    for rows in parts.values():
        assert labels[rows].mean() == pytest.approx(labels.mean(), abs=0.06)
    again = split_by_group(groups, labels, test=0.2, validation=0.1, seed=1)
    assert all((again[name] == rows).all() for name, rows in parts.items())
    assert list(split_by_group(groups, validation=0.0)) == ["train", "test"]


@pytest.mark.parametrize("options", [{"test": 0.6, "validation": 0.4}, {"test": -0.1}, {"groups": [1, 1, 2]}])
def test_splits_that_cannot_be_are_refused(options):
    with pytest.raises(DataError):
        split_by_group(**{"groups": [1, 2, 3], **options})


# --- buckets --------------------------------------------------------------------------------------------------------


def test_every_example_comes_once_within_the_budget():
    lengths = np.random.default_rng(0).integers(10, 500, 400)
    sampler = TokenBudgetSampler(lengths, tokens=2000, seed=2)
    epochs = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert sorted(index for batch in batches for index in batch) == list(range(400))
        assert all(len(batch) * lengths[batch].max() <= 2000 for batch in batches)
        assert len(sampler) == len(batches)
        epochs.append(batches)
    assert epochs[0] == epochs[2] != epochs[1]


def test_buckets_waste_less_than_any_order():
    lengths = np.random.default_rng(0).integers(10, 500, 400)
    plain = np.random.default_rng(1).permutation(400).reshape(-1, 8)
    wide = TokenBudgetSampler(lengths, tokens=4000)
    assert wide.waste < 0.25 * padding_waste(lengths, plain)
    assert TokenBudgetSampler(lengths, tokens=4000, bucket=0.0).waste <= wide.waste
    by_hand = 1 - lengths[plain].sum() / (8 * lengths[plain].max(1)).sum()
    assert padding_waste(lengths, plain) == pytest.approx(by_hand)


@pytest.mark.parametrize("bucket", [0.0, 0.1, 0.5])
def test_the_number_of_batches_is_the_same_in_every_epoch_and_their_examples_are_not(bucket):
    lengths = np.random.default_rng(3).lognormal(5, 0.7, 600).astype(int) + 1
    sampler, counts, together = TokenBudgetSampler(lengths, tokens=5000, bucket=bucket), set(), []
    for epoch in range(5):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        counts.add(len(batches))
        together.append({frozenset(batch) for batch in batches})
        assert all(lengths[batch].max() <= (1 + bucket) * lengths[batch].min() + 5000 / len(batch) for batch in batches)
    assert counts == {len(sampler)}
    assert len(together[0] & together[1]) < 0.7 * len(sampler)


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_take_the_batches_of_one_in_turn(processes):
    """As many each; where they do not go round, the first ones come again."""
    lengths = np.random.default_rng(3).integers(10, 200, 90)
    whole = list(TokenBudgetSampler(lengths, 700, seed=4))
    samplers = [TokenBudgetSampler(lengths, 700, seed=4, rank=rank, processes=processes) for rank in range(processes)]
    parts = [list(sampler) for sampler in samplers]
    assert {len(part) for part in parts} == {len(samplers[0])} == {-(-len(whole) // processes)}
    in_turn = [part[step] for step in range(len(parts[0])) for part in parts]
    assert in_turn == (whole + whole)[: len(in_turn)]


def test_lengths_of_classes_are_those_of_their_longest():
    lengths = np.array([100, 110, 111, 400, 401, 7])
    assert length_classes(lengths, 0.1).tolist() == [110, 110, 111, 401, 401, 7]
    assert length_classes(lengths, 0.0).tolist() == lengths.tolist()


def test_tokens_of_two_inputs_count_both_and_lengths_that_change_are_refused():
    class Windows(list):
        epoch = 0

        def set_epoch(self, epoch):
            self.epoch = epoch

        def __getitem__(self, index):
            return {"input_ids": np.zeros(4 + self.epoch)}

    assert token_lengths([{"input_ids": [1, 2], "reference_input_ids": [1, 2, 3], "labels": 1}]).tolist() == [6]
    windows = Windows([0, 1])
    with pytest.raises(ConfigurationError, match="Example 0 has another number of tokens in every epoch"):
        token_lengths(windows)
    assert windows.epoch == 0


@pytest.mark.parametrize(
    "options", [{"lengths": []}, {"lengths": [0, 3]}, {"tokens": 2}, {"bucket": -1.0}, {"rank": 2, "processes": 2}]
)
def test_budgets_that_cannot_be_are_refused(options):
    with pytest.raises(ConfigurationError):
        TokenBudgetSampler(**{"lengths": [3], "tokens": 4, **options})


# --- augmentation ---------------------------------------------------------------------------------------------------


def test_variations_are_those_of_seed_epoch_and_number():
    dataset = GenomicDataset(drawn(40), [0] * 40)
    one, other = (AugmentedDataset(dataset, shift=3, seed=5) for _ in range(2))
    expected = [one.sequence(number) for number in range(40)]
    assert [other.sequence(number) for number in reversed(range(40))] == expected[::-1]
    other.set_epoch(1)
    assert [other.sequence(number) for number in range(40)] != expected
    alone, beside = (DataLoader(one, 8, collate_fn=PaddingCollator(), num_workers=n) for n in (0, 2))
    assert all(a["input_ids"].equal(b["input_ids"]) for a, b in zip(alone, beside, strict=True))


def test_variations_are_turns_and_shifts():
    sequence = drawn(1)[0]
    dataset = AugmentedDataset(GenomicDataset([sequence] * 300, [1] * 300), shift=2)
    around = [shifted(sequence, by) for by in range(-2, 3)]
    kinds = {text: 0 for text in [*around, *map(reverse_complement, around)]}
    for number in range(300):
        kinds[dataset.sequence(number)] += 1
    assert min(kinds.values()) > 10
    assert dataset.tokenizer.decode(dataset[7]["input_ids"]) == dataset.sequence(7)
    assert dataset[7]["labels"] == 1
    assert shifted("ACG", 5) == shifted("ACG", -5) == "NNN"


def test_what_cannot_be_varied_is_refused():
    plain = GenomicDataset(["ACG"], [0])
    for options in ({"reverse_complement": 1.1}, {"shift": -1}):
        with pytest.raises(ConfigurationError):
            AugmentedDataset(plain, **options)
    with pytest.raises(ConfigurationError, match="Labels of bases"):
        AugmentedDataset(BaseLabelDataset(["AC"], [np.array([0, 1])]))
