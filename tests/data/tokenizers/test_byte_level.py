"""One token a byte, up to a cap."""

import numpy as np
import pytest

from genomic_lens.data.tokenizers import ByteTokenizer
from genomic_lens.errors import ConfigurationError, TokenizationError


def test_every_character_of_latin_1_comes_back():
    tokenizer, text = ByteTokenizer(special="cls_sep"), "".join(map(chr, range(256)))
    ids = tokenizer.encode(text)
    assert ids[1:-1].tolist() == list(range(7, 263))
    assert tokenizer.decode(ids) == text
    assert [text[start:stop] for start, stop in tokenizer.offsets(text)[1:-1]] == list(text)


def test_letters_and_masks_are_known():
    tokenizer = ByteTokenizer()
    assert tokenizer.encode("ACGT").tolist() == tokenizer.letter_ids.tolist()
    assert np.isin(tokenizer.encode("AnNa"), tokenizer.masked_ids).tolist() == [False, True, True, False]


@pytest.mark.parametrize(("size", "text"), [(135, "ACé"), (263, "AC核"), (200, "AC" + chr(193))])
def test_what_is_beyond_the_cap_is_named(size, text):
    with pytest.raises(TokenizationError, match="at character 2"):
        ByteTokenizer(size).encode(text)


@pytest.mark.parametrize("size", [134, 264, 0])
def test_a_size_that_makes_no_sense_is_refused(size):
    with pytest.raises(ConfigurationError, match=r"expected 135 \(ASCII\) to 263"):
        ByteTokenizer(size)


@pytest.mark.parametrize("text", ["", None, b"AC"])
def test_what_is_no_sequence_is_refused(text):
    with pytest.raises(TokenizationError):
        ByteTokenizer().encode(text)
