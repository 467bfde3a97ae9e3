"""The transformers skin gives the ids of the tokenizer below it."""

import pytest
import torch

from genomic_lens.data.tokenizers import DNATokenizer, HFDNATokenizer
from genomic_lens.errors import TokenizationError

SPECIALS = ["none", "sep", "cls_sep"]
SEQUENCES = ["ACGTN", "g", "TTRUA"]


@pytest.mark.parametrize("special", SPECIALS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_ids_and_masks_are_those_of_the_core_alone_and_in_a_padded_batch(special, side):
    core = DNATokenizer(special=special)
    skin = core.hf()
    batch = skin(SEQUENCES, padding=True, padding_side=side, return_tensors="pt")
    for name, expected in core.encode_batch(SEQUENCES, side).items():
        assert torch.equal(batch[name], torch.from_numpy(expected))
    for sequence in SEQUENCES:
        assert skin(sequence)["input_ids"] == core.encode(sequence).tolist()
        assert skin(sequence, add_special_tokens=False)["input_ids"] == core.encode_letters(sequence).tolist()


@pytest.mark.parametrize("special", SPECIALS)
def test_mask_of_special_tokens_has_a_place_for_every_token(special):
    """The mask that masked-language collators ask for; one that is too short shifts it onto the wrong bases."""
    skin = DNATokenizer(special=special).hf()
    found = skin("ACNT", return_special_tokens_mask=True)
    expected = [int(token in skin.all_special_tokens) for token in skin.convert_ids_to_tokens(found["input_ids"])]
    assert found["special_tokens_mask"] == expected
    assert skin.get_special_tokens_mask(found["input_ids"], already_has_special_tokens=True) == expected


@pytest.mark.parametrize("special", SPECIALS)
def test_truncation_counts_special_tokens(special):
    skin = DNATokenizer(special=special).hf()
    ids = skin("ACGTACGT", truncation=True, max_length=6)["input_ids"]
    assert len(ids) == 6
    assert skin.decode(ids, skip_special_tokens=True) == "ACGTACGT"[: 6 - SPECIALS.index(special)]


def test_decoding_leaves_no_spaces_between_bases():
    skin = DNATokenizer(special="cls_sep").hf()
    ids = skin("ACNGT")["input_ids"]
    assert skin.decode(ids, skip_special_tokens=True) == "ACNGT"
    assert skin.decode(ids) == "[CLS]ACNGT[SEP]"


@pytest.mark.parametrize("special", SPECIALS)
def test_policies_survive_the_folder(special, tmp_path):
    DNATokenizer(case="mask", iupac="error", special=special).hf().save_pretrained(tmp_path)
    again = HFDNATokenizer.from_pretrained(tmp_path)
    assert (again.core.case, again.core.iupac, again.core.special) == ("mask", "error", special)
    assert again("ACgtN")["input_ids"] == DNATokenizer(case="mask", special=special).encode("ACgtN").tolist()
    with pytest.raises(TokenizationError, match="'R' at base 1"):
        again("AR")


def test_vocabulary_and_special_tokens_have_the_ids_of_the_core():
    skin, core = DNATokenizer().hf(), DNATokenizer()
    assert skin.get_vocab() == {token: number for number, token in enumerate(core.tokens)}
    assert len(skin) == skin.vocab_size == len(core)
    roles = {"cls": "[CLS]", "sep": "[SEP]", "bos": "[BOS]", "mask": "[MASK]", "pad": "[PAD]", "unk": "[UNK]"}
    for role, token in roles.items():
        assert getattr(skin, f"{role}_token_id") == core.tokens.index(token)
    assert skin.convert_ids_to_tokens(list(range(12))) == list(core.tokens)
    assert skin.convert_tokens_to_ids(list(core.tokens)) == list(range(12))


def test_unreadable_letter_is_an_error_and_not_an_unknown_token():
    with pytest.raises(TokenizationError, match="'J' at base 2"):
        DNATokenizer().hf()("ACJ")
