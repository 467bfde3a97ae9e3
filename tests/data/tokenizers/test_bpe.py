"""Learnt words: what is learnt, that nothing is lost, and where each stands."""

import numpy as np
import pytest

from genomic_lens.data.tokenizers import BPETokenizer
from genomic_lens.data.tokenizers.bpe import learn_merges
from genomic_lens.errors import ConfigurationError, DataError, TokenizationError


def drawn(length, seed, letters="ACGT"):
    return "".join(np.random.default_rng(seed).choice(list(letters), length))


@pytest.fixture(scope="module")
def learnt():
    return BPETokenizer.train([drawn(400, seed) + "TTAGGG" * 30 for seed in range(10)], vocab_size=80, piece=150)


@pytest.mark.parametrize("sequence", [drawn(1000, 1), drawn(333, 2, "ACGTN"), "N", "acguRY", "TTAGGG" * 50])
def test_nothing_is_lost_and_offsets_are_places(learnt, sequence):
    plain = "".join(letter if letter in "ACGT" else "N" for letter in sequence.upper().replace("U", "T"))
    ids, spans = learnt.encode(sequence), learnt.offsets(sequence)
    assert learnt.decode(ids) == plain
    assert learnt.words(ids) == [plain[start:stop] for start, stop in spans]


def test_repeats_become_few_tokens(learnt):
    assert len(learnt.encode("TTAGGG" * 20)) < 0.5 * len(learnt.encode(drawn(120, 5)))


def test_merges_are_applied_in_order_as_by_hand():
    """AT is joined before TT may be: ATT is AT, T."""
    tokenizer = BPETokenizer([("A", "T"), ("T", "T")])
    assert tokenizer.words(tokenizer.encode("ATTT")) == ["AT", "TT"]
    assert learn_merges(["ACAC", "ACG"], count=2) == [("A", "C")]  # no other pair comes twice


def test_no_token_crosses_an_n_or_the_edge_of_a_piece():
    tokenizer = BPETokenizer([("A", "A")], piece=3)
    assert tokenizer.words(tokenizer.encode("AAAAANAA")) == ["AA", "A", "AA", "N", "AA"]


def test_the_size_is_a_cap():
    repeats = ["ACGT" * 100]
    assert len(BPETokenizer.train(repeats, vocab_size=14)) == 14
    assert len(BPETokenizer.train(repeats, vocab_size=4096)) < 60


def test_a_file_brings_it_back(learnt, tmp_path):
    tokenizer = BPETokenizer(learnt.merges, special="cls_sep", piece=77)
    again = BPETokenizer.load(tokenizer.save(tmp_path / "bpe.json"))
    sequence = drawn(500, 9)
    assert again.tokens == tokenizer.tokens
    np.testing.assert_array_equal(again.encode(sequence), tokenizer.encode(sequence))


def test_what_is_no_file_of_it_is_refused(tmp_path):
    for name, text in (("a", "[]"), ("b", "{}"), ("c", "no"), ("d", '{"kind": "wordpiece"}')):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=name):
            BPETokenizer.load(tmp_path / name)
    with pytest.raises(DataError, match="nowhere"):
        BPETokenizer.load(tmp_path / "nowhere")


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigurationError, match="no token"):
        BPETokenizer([("AT", "T")])
    with pytest.raises(ConfigurationError, match="at least 12"):
        BPETokenizer.train(["ACGT"], vocab_size=11)
    with pytest.raises(TokenizationError, match="'J' at base 1"):
        BPETokenizer().encode("AJ")
