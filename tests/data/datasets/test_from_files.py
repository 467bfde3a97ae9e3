"""Datasets that come from files: proteins, labels a base, variants."""

import numpy as np
import pandas as pd
import pytest
import torch

from genomic_lens.data.datasets import (
    BaseLabelDataset,
    GenomeAnnotationDataset,
    PaddingCollator,
    ProteinFunctionDataset,
    VariantEffectDataset,
    annotated_windows,
)  # fmt: skip
from genomic_lens.data.datasets.annotation import labels_of_tokens
from genomic_lens.data.datasets.proteins import several_labels
from genomic_lens.data.tokenizers import DNATokenizer, KmerTokenizer
from genomic_lens.errors import ConfigurationError, DataError


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


# --- proteins -------------------------------------------------------------------------------------------------------


def test_proteins_with_one_label_are_classes(write):
    dataset = ProteinFunctionDataset(write("a.csv", "sequence,label\nMKT,kinase\nMAV,channel\n"), max_length=8)
    assert dataset.label_names == ("channel", "kinase")
    assert [int(example["labels"]) for example in (dataset[0], dataset[1])] == [1, 0]
    assert dataset.tokenizer.decode(dataset[0]["input_ids"]) == "MKT"


def test_proteins_with_several_labels_are_rows_of_0_and_1(write):
    dataset = ProteinFunctionDataset(write("a.tsv", "seq\tfunction\nMKT\tb; a\nMAV\t\nM\tb\n"))
    assert np.stack([dataset[row]["labels"] for row in range(3)]).tolist() == [[1, 1], [0, 0], [0, 1]]
    batch = PaddingCollator()([dataset[0], dataset[2]])
    assert batch["labels"].dtype == torch.float32
    assert several_labels(["b"], ["b", "c"])[0].tolist() == [[1, 0]]
    with pytest.raises(DataError, match="'a' came; expected some of b"):
        several_labels(["a"], ["b"])


def test_proteins_with_numbers_are_values(write):
    dataset = ProteinFunctionDataset(write("a.csv", "protein,y\nMKT,0.5\nMAV,2\n"))
    assert dataset.labels.dtype == np.float32
    with pytest.raises(DataError, match="Row 1 .* has no sequence"):
        ProteinFunctionDataset(write("b.csv", "protein,y\nMKT,0.5\n,2\n"))
    with pytest.raises(DataError, match="Row 0 .* has no label"):
        ProteinFunctionDataset(write("c.csv", "protein,y\nMKT,\nM,2\n"))


# --- labels a base --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["AABB", "A A B B", "A;A;B;B"])
def test_labels_of_bases_are_characters_or_words(write, text):
    dataset = GenomeAnnotationDataset(write("a.csv", f"sequence,labels\nACGT,{text}\n"))
    assert dataset[0]["labels"].tolist() == [0, 0, 1, 1]
    assert dataset.label_names == ("A", "B")


def test_each_token_has_the_label_that_most_of_its_bases_have():
    """Against a slow count, with special tokens and words of three."""
    rng = np.random.default_rng(0)
    tokenizer = KmerTokenizer(3, special="cls_sep")
    for length in (1, 7, 30):
        sequence, labels = "".join(rng.choice(list("ACGT"), length)), rng.integers(0, 4, length)
        offsets = tokenizer.offsets(sequence)
        expected = [np.bincount(labels[start:stop]).argmax() if stop > start else -100 for start, stop in offsets]
        assert labels_of_tokens(labels, offsets).tolist() == expected
    assert labels_of_tokens(np.array([-100, -100, 2]), np.array([[0, 2], [1, 3]])).tolist() == [-100, 2]


def test_labels_are_padded_with_what_no_loss_counts():
    dataset = BaseLabelDataset(["ACGT", "GG"], [np.array([0, 1, 1, 0]), np.array([1, 1])], DNATokenizer(special="sep"))
    for side in ("right", "left"):
        batch = PaddingCollator(padding_side=side)([dataset[0], dataset[1]])
        assert batch["labels"].shape == batch["input_ids"].shape
        assert (batch["labels"][batch["attention_mask"] == 0] == -100).all()
        assert batch["labels"][1][batch["attention_mask"][1] == 1].tolist() == [1, 1, -100]


def test_windows_of_contigs_carry_the_features_that_cover_them():
    features = pd.DataFrame({
        "contig": ["a", "a", "b"], "start": [1, 3, 0], "stop": [5, 4, 2], "kind": ["CDS", "tRNA", "CDS"],
    })  # fmt: skip
    dataset = annotated_windows({"a": "ACGTACG", "b": "GG"}, features, window=4)
    names = np.array(dataset.label_names)
    assert [names[example["labels"]].tolist() for example in dataset] == [
        ["none", "CDS", "CDS", "tRNA"], ["CDS", "none", "none"], ["CDS", "CDS"],
    ]  # fmt: skip
    with pytest.raises(DataError, match="CDS lies at 1 to 5 of a, which has 3 bases"):
        annotated_windows({"a": "ACG"}, features, window=4)
    with pytest.raises(ConfigurationError, match="window=0"):
        annotated_windows({"a": "ACG"}, features, window=0)


def test_labels_that_do_not_fit_their_sequence_are_refused(write):
    with pytest.raises(DataError, match="Sequence 1 has 3 bases and 2 labels"):
        GenomeAnnotationDataset(write("a.csv", "sequence,labels\nAC,AB\nACG,AB\n"))
    with pytest.raises(DataError, match="Row 0 .* lacks"):
        GenomeAnnotationDataset(write("b.csv", "sequence,labels\n,AB\n"))


# --- variants -------------------------------------------------------------------------------------------------------


@pytest.fixture
def genome(write):
    return write("genome.fa", ">chr1\nGATTACAGGCATT\n>chr2\nAAA\n")


def test_variants_are_put_where_they_belong(write, genome):
    table = write("a.csv", "chrom,pos,ref,alt,label\nchr1,5,A,G,1\nchr1,5,AC,A,0\nchr1,5,A,ATT,0\nchr1,1,G,C,1\n")
    dataset = VariantEffectDataset(table, max_length=5, genome=genome)
    assert list(zip(dataset.references, dataset.sequences, strict=True)) == [
        ("TTACA", "TTGCA"), ("TACAG", "TAAGG"),
        ("TTACA", "TTATT"), ("NNGAT", "NNCAT"),
    ]  # fmt: skip
    assert [int(example["labels"]) for example in dataset] == [1, 0, 0, 1]


def test_a_vcf_file_gives_the_same_without_labels(write, genome):
    text = "#CHROM\tPOS\tID\tREF\tALT\nchr1\t5\t.\tA\tG\nchr2\t2\t.\tA\tC\n"
    dataset = VariantEffectDataset(write("a.vcf", text), max_length=3, genome=genome)
    assert dataset.sequences == ["TGC", "ACA"]
    assert set(dataset[0]) == {"input_ids", "reference_input_ids"}
    batch = PaddingCollator()([dataset[0], dataset[1]])
    assert set(batch) == {"input_ids", "attention_mask", "reference_input_ids", "reference_attention_mask"}


def test_written_pairs_need_no_genome(write):
    dataset = VariantEffectDataset(write("a.csv", "ref_seq,alt_seq,label\nACGT,ACCT,0.5\n"))
    assert (dataset.references, dataset.sequences) == (["ACGT"], ["ACCT"])


def test_variants_that_do_not_fit_are_refused(write, genome):
    wrong = write("a.csv", "chrom,pos,ref,alt\nchr1,5,T,G\n")
    with pytest.raises(DataError, match="At base 4 of chr1 stands A, and not T"):
        VariantEffectDataset(wrong, max_length=5, genome=genome)
    with pytest.raises(ConfigurationError, match="pass the FASTA file as genome="):
        VariantEffectDataset(wrong)
    with pytest.raises(DataError, match="longer than the window of 2"):
        VariantEffectDataset(write("b.csv", "chrom,pos,ref,alt\nchr1,5,A,AGG\n"), max_length=2, genome=genome)
    with pytest.raises(DataError, match="expected a column named reference_sequence"):
        VariantEffectDataset(write("c.csv", "sequence,label\nA,1\n"))
