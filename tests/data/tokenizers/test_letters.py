"""The DNA tokenizer against a slow dictionary, its policies, and its errors."""

import numpy as np
import pytest

from genomic_lens.data.alphabets import DNA, reverse_complement
from genomic_lens.data.tokenizers import DNATokenizer, ProteinTokenizer, RNATokenizer, pad_ids
from genomic_lens.data.tokenizers.letters import letter_table
from genomic_lens.errors import ConfigurationError, TokenizationError

IDS = {"A": 7, "C": 8, "G": 9, "T": 10, "U": 10, "N": 11}
CODES = "RYSWKMBDHV"
SPECIALS = ["none", "sep", "cls_sep"]


def random_sequence(letters: str, length: int, seed: int = 0) -> str:
    return "".join(np.random.default_rng(seed).choice(list(letters), length))


def slow_encode(sequence: str, case: str, iupac: str) -> list[int]:
    """The policies as one reads them, letter by letter; KeyError where a letter is refused."""
    ids = []
    for letter in sequence:
        known = letter.upper() if case != "error" else letter
        number = IDS["N"] if known in CODES and iupac == "mask" else IDS[known]
        ids.append(IDS["N"] if letter.islower() and case == "mask" else number)
    return ids


@pytest.mark.parametrize("case", ["upper", "mask", "error"])
@pytest.mark.parametrize("iupac", ["mask", "error"])
def test_table_agrees_with_a_slow_dictionary(case, iupac):
    """Every letter that either refuses is tried alone, so neither may be laxer than the other."""
    tokenizer = DNATokenizer(case=case, iupac=iupac)
    readable = "ACGTUN" + ("acgtun" if case != "error" else "") + (CODES if iupac == "mask" else "")
    for seed in range(5):
        sequence = random_sequence(readable, 300, seed)
        assert tokenizer.encode(sequence).tolist() == slow_encode(sequence, case, iupac)
    for letter in map(chr, range(256)):
        try:
            expected = slow_encode(letter, case, iupac)
        except KeyError:
            with pytest.raises(TokenizationError):
                tokenizer.encode(letter)
        else:
            assert tokenizer.encode(letter).tolist() == expected


def test_ids_are_those_of_hyenadna():
    assert DNATokenizer().tokens == (
        "[CLS]", "[SEP]", "[BOS]", "[MASK]", "[PAD]", "[RESERVED]", "[UNK]", "A", "C", "G", "T", "N"
    )  # fmt: skip
    assert DNATokenizer.pad_id == 4
    assert DNATokenizer.masked_ids == (0, 1, 2, 3, 4, 5, 6, 11)
    assert DNATokenizer().letter_ids.tolist() == [7, 8, 9, 10]
    assert len(DNATokenizer()) == 12


def test_rna_and_dna_letters_give_the_same_ids(tokenizer):
    assert tokenizer.encode("GAUUACAu").tolist() == tokenizer.encode("GATTACAt").tolist()


def test_case_policies_on_soft_masked_bases():
    assert DNATokenizer(case="upper").decode(DNATokenizer().encode("ACgt")) == "ACGT"
    masking = DNATokenizer(case="mask")
    assert masking.decode(masking.encode("ACgtn")) == "ACNNN"
    with pytest.raises(TokenizationError, match="'g' at base 2"):
        DNATokenizer(case="error").encode("ACgt")


def test_ambiguity_policies_take_n_either_way():
    assert DNATokenizer(iupac="mask").encode("ARN").tolist() == [7, 11, 11]
    assert DNATokenizer(iupac="error").encode("AN").tolist() == [7, 11]
    with pytest.raises(TokenizationError, match="'R' at base 1"):
        DNATokenizer(iupac="error").encode("ARN")


@pytest.mark.parametrize("special", SPECIALS)
def test_round_trip_and_offsets_point_at_the_letters(special):
    """Each token's span, cut from the string, is the letter that the token decodes to: nothing is shifted by one."""
    tokenizer, sequence = DNATokenizer(special=special), random_sequence("ACGTN", 40)
    ids, spans = tokenizer.encode(sequence), tokenizer.offsets(sequence)
    assert ids.dtype == np.int64
    assert tokenizer.decode(ids) == sequence
    assert [sequence[start:stop] for start, stop in spans] == [tokenizer.decode([number]) for number in ids]
    extra = {"none": [], "sep": [1], "cls_sep": [0, 1]}[special]
    assert [number for number in ids if number < 7] == extra
    if special == "cls_sep":
        assert (ids[0], ids[-1], *spans[0], *spans[-1]) == (0, 1, 0, 0, 40, 40)


@pytest.mark.parametrize("special", SPECIALS)
def test_other_strand_of_ids_is_the_ids_of_the_other_strand(special):
    tokenizer, sequence = DNATokenizer(special=special), random_sequence("ACGTNacgtRYSWKMBDHV", 60)
    turned = tokenizer.reverse_complement(tokenizer.encode(sequence))
    np.testing.assert_array_equal(turned, tokenizer.encode(reverse_complement(sequence)))


@pytest.mark.parametrize("side", ["left", "right"])
def test_other_strand_of_a_batch_turns_each_row_within_its_padding(side):
    """Rows of different lengths: a row that took bases from its neighbour, or moved its padding, would differ."""
    tokenizer, sequences = DNATokenizer(special="sep"), ["ACGTTN", "GG", "CAT"]
    turned = tokenizer.reverse_complement(tokenizer.encode_batch(sequences, side)["input_ids"])
    expected = tokenizer.encode_batch([reverse_complement(sequence) for sequence in sequences], side)
    np.testing.assert_array_equal(turned, expected["input_ids"])


def test_other_strand_leaves_the_input_alone(tokenizer):
    ids = tokenizer.encode("AACG")
    tokenizer.reverse_complement(ids)
    assert ids.tolist() == [7, 7, 8, 9]


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_the_mask_marks_is_the_sequence_and_the_rest_is_padding(side):
    tokenizer, sequences = DNATokenizer(special="cls_sep"), ["ACGT", "G", "TTTTTT"]
    batch = tokenizer.encode_batch(sequences, side)
    for ids, mask, sequence in zip(batch["input_ids"], batch["attention_mask"], sequences, strict=True):
        np.testing.assert_array_equal(ids[mask == 1], tokenizer.encode(sequence))
        assert set(ids[mask == 0]) <= {tokenizer.pad_id}
        at_the_end = np.sort(mask)[::-1] if side == "right" else np.sort(mask)
        np.testing.assert_array_equal(mask, at_the_end)
    assert batch["input_ids"].shape == (3, 8)


def test_hundred_thousand_bases_come_back_as_they_went_in(tokenizer):
    sequence = random_sequence("ACGTN", 100_000)
    ids = tokenizer.encode(sequence)
    assert tokenizer.decode(ids) == sequence
    assert tokenizer.decode(tokenizer.reverse_complement(ids)) == reverse_complement(sequence)


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        ("ACGJTJ", r"'J' at base 3 \(2 such in all\)"),
        ("A" * 1500 + "-", "'-' at base 1,500"),
        ("AC GT", "' ' at base 2"),
        ("ACé", "'é' at base 2"),
        ("AC核T", "'核' at base 2"),
        ("", "empty"),
        (None, "A NoneType came"),
        (["A", "C"], "A list came"),
        (b"ACGT", "A bytes came"),
    ],
)
def test_unreadable_sequence_is_named_with_letter_and_position(tokenizer, sequence, message):
    with pytest.raises(TokenizationError, match=message):
        tokenizer.encode(sequence)


@pytest.mark.parametrize("number", [-1, 12, 999])
def test_id_outside_the_vocabulary_is_refused(tokenizer, number):
    with pytest.raises(TokenizationError, match=f"Id {number} came; expected 0 to 11"):
        tokenizer.decode([7, number])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocab_size": 11}, "vocab_size is 11; DNATokenizer needs at least 12"),
        ({"case": "lower"}, "case is 'lower'; expected one of upper, mask, error"),
        ({"iupac": "random"}, "iupac is 'random'"),
        ({"special": "bos"}, "special is 'bos'"),
    ],
)
def test_unknown_option_is_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        DNATokenizer(**options)


def test_unknown_padding_side_is_refused(tokenizer):
    with pytest.raises(ConfigurationError, match="'up'; expected 'right' or 'left'"):
        tokenizer.encode_batch(["A"], padding_side="up")


def test_smallest_vocabulary_is_taken_and_an_empty_batch_is_empty():
    assert len(DNATokenizer(vocab_size=12)) == 12
    assert pad_ids([], pad_id=4)["input_ids"].shape == (0, 0)


def test_table_refuses_more_than_it_reads():
    assert (letter_table(DNA, "error", "error") != 255).sum() == len("ACGTUN")
    assert (letter_table(DNA, "upper", "mask") != 255).sum() == 2 * len("ACGTUN" + CODES)


def test_one_sequence_in_place_of_several_is_refused():
    """Iterating over a string would make a batch of single letters."""
    with pytest.raises(TokenizationError, match="expects a list"):
        DNATokenizer().encode_batch("ACGT")


# --- RNA and proteins -------------------------------------------------------------------------------------------------


def test_rna_has_the_ids_of_dna_and_its_own_letters():
    rna = RNATokenizer()
    assert rna.encode("GAUUACAN").tolist() == DNATokenizer().encode("GATTACAN").tolist()
    assert rna.decode(rna.encode("GATTACAr")) == "GAUUACAN"
    assert rna.decode(rna.reverse_complement(rna.encode("AACG"))) == "CGUU"
    assert (rna.letters, rna.letter_ids.tolist()) == ("ACGU", [7, 8, 9, 10])


def test_proteins_are_read_letter_by_letter():
    protein = ProteinTokenizer(special="cls_sep")
    sequence = "MKTLLLTLVVVTIVCLDLGYAX*acdefghiklmnpqrstvwy"
    ids = protein.encode(sequence)
    assert protein.decode(ids) == sequence.upper()
    assert len(set(protein.letter_ids)) == 21
    assert np.isin(protein.encode("AXBJZUO")[1:-1], protein.masked_ids).tolist() == [False] + 6 * [True]
    assert not hasattr(protein, "reverse_complement")


def test_proteins_refuse_what_is_none():
    with pytest.raises(TokenizationError, match="'1' at residue 2"):
        ProteinTokenizer().encode("MK1")
    with pytest.raises(TokenizationError, match="'U' at residue 0"):
        ProteinTokenizer(iupac="error").encode("U")
    with pytest.raises(ConfigurationError, match="ProteinTokenizer needs at least 29"):
        ProteinTokenizer(vocab_size=28)


@pytest.mark.parametrize("tokenizer", [DNATokenizer, RNATokenizer, ProteinTokenizer])
def test_what_the_class_knows_is_what_its_objects_use(tokenizer):
    one = tokenizer()
    assert (one.tokens, one.masked_ids, one.letters) == (tokenizer.tokens, tokenizer.masked_ids, tokenizer.letters)
    assert [one.tokens[number] for number in one.letter_ids] == list(one.letters)
