"""Labels, lengths and batches."""

import numpy as np
import pytest
import torch

from genomic_lens.data.datasets import GenomicDataset, PaddingCollator, encode_labels
from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ConfigurationError, DataError

NAMES = ["donor", "acceptor", "neither"]


@pytest.mark.parametrize(
    ("labels", "names", "expected", "kind"),
    [
        (["neither", "donor"], NAMES, [2, 0], np.int64),
        (np.array(["acceptor"]), NAMES, [1], np.int64),
        ([2, 0, 1], NAMES, [2, 0, 1], np.int64),
        ([True, False], ["no", "yes"], [1, 0], np.int64),
        (np.array([1, 0], dtype=np.uint8), None, [1, 0], np.int64),
        ([0.5, np.nan], None, [0.5, np.nan], np.float32),
        ([[0.5, 1.0], [2.0, 3.0]], None, [[0.5, 1.0], [2.0, 3.0]], np.float32),
    ],
)
def test_labels_become_numbers_in_the_order_of_their_names(labels, names, expected, kind):
    found = encode_labels(labels, names)
    assert found.dtype == kind
    np.testing.assert_array_equal(found, np.array(expected, dtype=kind))


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        (["donor", "exon"], NAMES, "'exon' came; expected one of donor, acceptor, neither"),
        (["donor"], None, "'donor' came; expected one of no names at all"),
        ([0, 3], NAMES, "Label 3 came; expected 0 to 2 for 3 classes"),
        ([0, -1], NAMES, "Label -1 came; expected 0 to 2"),
        (["donor", None], NAMES, "'None' came"),
    ],
)
def test_label_that_is_no_class_is_named_with_what_was_expected(labels, names, message):
    with pytest.raises(DataError, match=message):
        GenomicDataset(["A"] * len(labels), labels, label_names=names)


@pytest.mark.parametrize("labels", [[0], [0, 1, 0]])
def test_sequences_and_labels_come_in_pairs(labels):
    with pytest.raises(DataError, match=f"2 sequences came with {len(labels)} labels"):
        GenomicDataset(["A", "C"], labels)


def test_example_holds_ids_and_label_of_its_row():
    dataset = GenomicDataset(["ACGT", "GTAAGT"], ["neither", "donor"], label_names=NAMES)
    assert len(dataset) == 2
    assert dataset[1]["input_ids"].tolist() == [9, 10, 7, 7, 9, 10]
    assert dataset[1]["labels"] == 0
    assert set(GenomicDataset(["ACGT"])[0]) == {"input_ids"}


@pytest.mark.parametrize("special", ["none", "cls_sep"])
def test_limit_counts_tokens_and_the_longest_that_fits_is_whole(special):
    tokenizer = DNATokenizer(special=special)
    fits = len(tokenizer.encode("ACGT"))
    assert len(GenomicDataset(["ACGT"], tokenizer=tokenizer, max_length=fits)[0]["input_ids"]) == fits
    with pytest.raises(DataError, match=f"Sequence 0 has {fits} tokens, the limit is {fits - 1}"):
        GenomicDataset(["ACGT"], tokenizer=tokenizer, max_length=fits - 1)[0]


def test_truncation_is_asked_for_and_keeps_the_start():
    assert GenomicDataset(["ACGT"], max_length=3, on_long="truncate")[0]["input_ids"].tolist() == [7, 8, 9]
    with pytest.raises(ConfigurationError, match="'trunkate'; expected"):
        GenomicDataset(["ACGT"], max_length=3, on_long="trunkate")


@pytest.mark.parametrize("side", ["left", "right"])
def test_batch_is_padded_on_the_side_and_its_mask_gives_the_examples_back(side):
    dataset = GenomicDataset(["ACGTAC", "G", "TTT"], [2, 0, 1], label_names=NAMES)
    batch = PaddingCollator(padding_side=side)([dataset[index] for index in range(3)])
    assert batch["labels"].tolist() == [2, 0, 1]
    for index in range(3):
        ids, mask = batch["input_ids"][index], batch["attention_mask"][index].bool()
        assert ids[mask].tolist() == dataset[index]["input_ids"].tolist()
        assert (ids[~mask] == DNATokenizer.pad_id).all()
        assert mask[0 if side == "right" else -1]


def test_regression_targets_keep_their_shape_and_type_in_a_batch():
    dataset = GenomicDataset(["A", "CC"], [[0.5, np.nan], [1.0, 2.0]])
    labels = PaddingCollator()([dataset[0], dataset[1]])["labels"]
    assert labels.dtype == torch.float32
    np.testing.assert_array_equal(labels.numpy(), np.array([[0.5, np.nan], [1.0, 2.0]], dtype=np.float32))


def test_unknown_padding_side_is_refused():
    with pytest.raises(ConfigurationError, match="'middle'"):
        PaddingCollator(padding_side="middle")([{"input_ids": np.array([7])}])


def test_two_workers_give_the_batches_of_one_process():
    """Workers receive the dataset and the collator as pickles and send tensors back."""
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACGT"), size)) for size in rng.integers(1, 20, 12)]
    dataset = GenomicDataset(sequences, list(range(12)), label_names=[str(number) for number in range(12)])
    alone, shared = (
        list(torch.utils.data.DataLoader(dataset, batch_size=5, collate_fn=PaddingCollator(), num_workers=workers))
        for workers in (0, 2)
    )
    assert len(alone) == len(shared) == 3
    for one, other in zip(alone, shared, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in ("input_ids", "attention_mask", "labels"))
