"""Words by number: exact tables against a loop, padding, causality, and the hash of the public code."""

from itertools import product

import numpy as np
import pytest
import torch

from genomic_lens.errors import ConfigurationError
from genomic_lens.model.layers.kmers import KmerEmbedding, hash_ids, kmer_ids


def numbered(letters, size, alphabet):
    """Position by position, in plain Python."""
    found = []
    for end in range(1, len(letters) + 1):
        word = letters[max(0, end - size) : end]
        whole = len(word) == size and all(0 <= letter < alphabet for letter in word)
        found.append(int("".join(map(str, word)) or "0", alphabet) if whole else alphabet**size)
    return found


@pytest.mark.parametrize("alphabet", [2, 4, 5])
@pytest.mark.parametrize("size", [0, 1, 3, 6])
def test_numbers_equal_those_of_a_loop(size, alphabet):
    torch.manual_seed(size)
    ids = torch.randint(alphabet, (5, 60))
    ids[torch.rand(5, 60) < 0.05] = -3
    ids[torch.rand(5, 60) < 0.05] = alphabet
    assert kmer_ids(ids, size, alphabet).tolist() == [numbered(row, size, alphabet) for row in ids.tolist()]


def test_every_word_of_six_has_a_number_of_its_own_in_the_order_of_a_dictionary():
    every = torch.tensor(list(product(range(4), repeat=6)))
    assert kmer_ids(every, 6)[:, -1].tolist() == list(range(4**6))


def test_a_sequence_shorter_than_a_word_has_none():
    assert kmer_ids(torch.tensor([[0, 1]]), 3).tolist() == [[64, 64]]
    assert kmer_ids(torch.empty(2, 0, dtype=torch.long), 3).shape == (2, 0)


def test_ids_of_one_byte_do_not_overflow():
    ids = torch.full((1, 8), 3, dtype=torch.uint8)
    assert kmer_ids(ids, 8)[0, -1] == 4**8 - 1


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("pad_id", [4, 8])
@pytest.mark.parametrize("dtype", [torch.long, torch.uint8])
def test_padding_changes_nothing_whatever_its_id(side, pad_id, dtype):
    """An id of padding that is a letter's tells a mask that is heeded from one that is not."""
    torch.manual_seed(0)
    embedding, ids = KmerEmbedding(5, sizes=(1, 3)), torch.randint(7, 11, (1, 12))
    pad = (3, 0) if side == "left" else (0, 3)
    padded, mask = (torch.nn.functional.pad(part, pad, value=value) for part, value in ((ids, pad_id), (ids > 0, 0)))
    found = embedding(padded.to(dtype), mask.long())[mask]
    torch.testing.assert_close(found, embedding(ids)[0], rtol=0, atol=0)


def test_vectors_are_the_sum_of_rows_of_the_tables():
    torch.manual_seed(0)
    embedding = KmerEmbedding(3, sizes=(2, 4), letters=3, first_id=5)
    found = embedding(torch.tensor([[5, 7, 6, 6, 8]]))[0]
    two, four = (table.weight for table in embedding.tables)
    assert (len(two), len(four)) == (10, 82)
    torch.testing.assert_close(found[0], two[9] + four[81])
    torch.testing.assert_close(found[1], two[0 * 3 + 2] + four[81])
    torch.testing.assert_close(found[3], two[1 * 3 + 1] + four[2 * 9 + 1 * 3 + 1])
    torch.testing.assert_close(found[4], two[9] + four[81])


def test_a_base_changes_nothing_before_it_and_nothing_beyond_the_longest_word():
    torch.manual_seed(0)
    embedding, ids = KmerEmbedding(4, sizes=(2, 5)), torch.randint(7, 11, (1, 30))
    changed = ids.clone()
    changed[0, 12] = 7 + (ids[0, 12] - 6) % 4
    moved = (embedding(ids) != embedding(changed)).any(-1)[0]
    assert moved.nonzero().flatten().tolist() == list(range(12, 17))


def test_every_table_learns():
    embedding = KmerEmbedding(4)
    embedding(torch.randint(7, 11, (2, 30))).square().sum().backward()
    assert all(table.weight.grad.abs().sum() > 0 for table in embedding.tables)


@pytest.mark.parametrize("size", range(3, 9))
def test_the_hash_is_that_of_the_public_code(oracle, size):
    state = oracle("blt_patch.npz")
    found = hash_ids(torch.from_numpy(state["tok"]), size, 5003)
    np.testing.assert_array_equal(found, state[f"hash_{size}"])


def test_the_hash_counts_modulo_two_to_the_64th():
    """In Python's integers, which do not overflow; the ids are those of bytes."""
    torch.manual_seed(0)
    ids, prime = torch.randint(256, (1, 40)), 1_000_000_007
    values = [0] * 7 + ids[0].tolist()
    for end, found in enumerate(hash_ids(ids, 8, 30_000)[0].tolist()):
        total = sum(value * prime**power for power, value in enumerate(values[end : end + 8])) % 2**64
        assert found == (total - 2**64 * (total >= 2**63)) % 30_000


@pytest.mark.parametrize("sizes", [(), (0,), (3, 11)])
def test_bad_sizes_are_refused(sizes):
    with pytest.raises(ConfigurationError, match="expected sizes of 1 to 10"):
        KmerEmbedding(4, sizes=sizes)


def test_a_word_that_is_too_long_is_refused():
    with pytest.raises(ConfigurationError, match="11 letters came; expected 0 to 10"):
        kmer_ids(torch.zeros(1, 5, dtype=torch.long), 11)
