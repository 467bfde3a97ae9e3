"""One vocabulary: no number stands for two things, and nothing is guessed that the letters do not tell."""

import numpy as np
import pytest
import torch

from genomic_lens.data.datasets import GenomicDataset, PretrainingDataset
from genomic_lens.data.tokenizers import DNATokenizer, ProteinTokenizer, RNATokenizer
from genomic_lens.errors import ConfigurationError, DataError, TokenizationError
from genomic_lens.training.multi.modalities import (
    MODALITIES,
    HFMultiModalTokenizer,
    ModalityTokenizer,
    MultiModalTokenizer,
    head_of,
    modality_data,
    modality_of,
)  # fmt: skip

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


@pytest.mark.parametrize("length", [12, 30, 300])
def test_random_sequences_are_told_apart(length):
    rng = np.random.default_rng(0)
    for letters, name in (("ACGT", "dna"), ("ACGU", "rna"), (RESIDUES, "protein")):
        found = [modality_of("".join(rng.choice(list(letters), length))) for _ in range(200)]
        assert set(found) <= {name, None}
        assert found.count(name) >= 180


@pytest.mark.parametrize("sequence", ["GAC", "GAT", "ACGACGACGACG", "ACGTACGTU", "MKVR", "NNNNNNNNNN", ""])
def test_what_the_letters_do_not_tell_is_refused_unless_told(sequence):
    assert modality_of(sequence) is None
    with pytest.raises(TokenizationError, match="say which"):
        MultiModalTokenizer().encode(sequence)
    assert MultiModalTokenizer(unclear="rna").modality(sequence) == "rna"


def test_case_gaps_and_unknown_letters_do_not_hide_what_a_sequence_is():
    assert modality_of("acgttgcannnnnnnnnnnnnnn") == "dna"
    assert modality_of("ACGUACNNNNNACGUR") == "rna"
    assert modality_of("MK*") == "protein"


def test_numbers_are_those_of_our_tokenizers_and_stand_for_one_thing_each():
    joint = MultiModalTokenizer()
    dna, rna, protein = (joint.for_modality(name) for name in MODALITIES)
    assert dna.encode("ACGTN").tolist() == DNATokenizer().encode("ACGTN").tolist()
    assert rna.encode("ACGUN").tolist() == RNATokenizer().encode("ACGUN").tolist()
    assert protein.letter_ids.tolist() == (ProteinTokenizer().letter_ids + 5).tolist()
    assert not set(dna.letter_ids) & set(protein.letter_ids)
    assert len(joint) == len(dna) == len(protein) == 34
    for one in (dna, rna, protein, joint):
        assert len(set(one.tokens)) == 34
        assert one.pad_id == DNATokenizer.pad_id
        assert one.masked_ids == (0, 1, 2, 3, 4, 5, 6, 11, 33)
        assert [one.tokens[number] for number in one.letter_ids] == list(one.letters)


@pytest.mark.parametrize("special", ["none", "sep", "cls_sep"])
def test_sequences_come_back_and_spans_are_letters(special):
    joint = MultiModalTokenizer(special=special)
    for sequence in ("ACGTTGCAAT", "ACGUUGCAAU", "MKTLLLTLLX*"):
        one = joint.for_modality(joint.modality(sequence))
        ids = joint.encode(sequence)
        assert ids.tolist() == one.encode(sequence).tolist()
        assert one.decode(ids) == sequence
        assert len(joint.offsets(sequence)) == len(ids)
        np.testing.assert_array_equal(joint.offsets(sequence), one.offsets(sequence))
    assert joint.decode(joint.encode("ACGTTGCAAT")) == "ACGTTGCAAT"
    assert joint.decode(joint.encode("MKTLLLTLLX*")) == "MKTLLLTLLX*"


def test_a_batch_may_hold_all_kinds():
    batch = MultiModalTokenizer().encode_batch(["ACGTTGCAAT", "MKTLL"])
    assert batch["attention_mask"].sum(1).tolist() == [10, 5]


def test_the_other_strand_and_foreign_letters():
    joint = MultiModalTokenizer()
    dna, protein = joint.for_modality("dna"), joint.for_modality("protein")
    assert dna.decode(dna.reverse_complement(dna.encode("AACGT"))) == "ACGTT"
    with pytest.raises(TokenizationError, match="no other strand"):
        protein.reverse_complement(protein.encode("MK"))
    with pytest.raises(TokenizationError, match="that are no dna"):
        dna.decode(protein.encode("MK"))
    for kind in (ModalityTokenizer, MultiModalTokenizer):
        with pytest.raises(ConfigurationError, match="'peptide'"):
            kind("peptide")


def test_it_travels_with_a_checkpoint(tmp_path):
    tokenizer = MultiModalTokenizer(unclear="rna", special="sep").hf()
    tokenizer.save_pretrained(tmp_path)
    again = HFMultiModalTokenizer.from_pretrained(tmp_path)
    for sequence in ("GAC", "MKTLLLTLL", "ACGTACGTACG"):
        assert again(sequence)["input_ids"] == MultiModalTokenizer("rna", special="sep").encode(sequence).tolist()


# --- data -----------------------------------------------------------------------------------------------------------


def test_data_come_as_sequences_with_labels_or_as_a_dataset(tmp_path):
    protein = MultiModalTokenizer().for_modality("protein")
    assert head_of(modality_data(["MKV", "MAA"], protein, None))[0] == "language_model"
    assert head_of(modality_data((["MKV", "MAA"], [0, 2]), protein, None)) == ("classification", 3, None)
    assert head_of(modality_data((["MKV", "MAA"], ["b", "a"]), protein, None)) == ("classification", 2, ("a", "b"))
    assert head_of(modality_data((["MKV", "MAA"], [[0, 1], [1, 1]]), protein, None))[:2] == ("multi_label", 2)
    assert head_of(modality_data((["MKV", "MAA"], [[0.3, 1], [1, 1]]), protein, None))[:2] == ("regression", 2)
    assert modality_data(("MKVA", "MAAA"), protein, 3).sequences == ["MKVA", "MAAA"]
    given = GenomicDataset(["MKV", "MAA"], [0.5, 1.0], ProteinTokenizer())
    found = modality_data(given, protein, 2)
    assert found[0]["input_ids"].tolist() == protein.encode("MK").tolist()
    assert given[0]["input_ids"].tolist() == ProteinTokenizer().encode("MKV").tolist()
    (tmp_path / "genome.fa").write_text(">one\n" + "ACGTTGCA" * 20 + "\n")
    windows = PretrainingDataset(tmp_path / "genome.fa", length=16, count=4)
    assert modality_data(windows, MultiModalTokenizer().for_modality("dna"), None)[0]["input_ids"].shape == (16,)


@pytest.mark.parametrize("data", [[], [1, 2], torch.zeros(3), {"ACGT": 1}.values()])
def test_other_data_are_refused_in_a_sentence(data):
    with pytest.raises(DataError, match="expected a list of sequences"):
        modality_data(data, MultiModalTokenizer().for_modality("dna"), None)
