"""MEME text: what is read, and what is refused."""

import gzip

import pytest

from genomic_lens.data.meme import read_meme
from genomic_lens.errors import DataError

MEME = """MEME version 4

ALPHABET= ACGT

MOTIF one first
letter-probability matrix: alength= 4 w= 2 nsites= 20 E= 0
 0.0  0.0  1.0  0.0
 0.25 0.25 0.0  0.5

URL http://example.org/one

MOTIF two

letter-probability matrix: alength= 4 w= 1
1 0 0 0
"""


def test_read_meme_by_hand_from_text_and_compressed_file(tmp_path):
    expected = {"one first": [[0, 0, 1, 0], [0.25, 0.25, 0, 0.5]], "two": [[1, 0, 0, 0]]}
    assert {name: matrix.tolist() for name, matrix in read_meme(MEME).items()} == expected
    path = tmp_path / "motifs.meme.gz"
    path.write_bytes(gzip.compress(MEME.encode()))
    for source in (path, str(path)):
        assert {name: matrix.tolist() for name, matrix in read_meme(source).items()} == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no motifs\nhere\n", "MOTIF"),
        (MEME.replace("0.5\n", "0.9\n"), "one first"),
        (MEME.replace("1 0 0 0", "1 0 0"), "two"),
        (MEME.replace("1 0 0 0", "1 a 0 0"), "two"),
        (MEME.replace("1 0 0 0", ""), "two"),
        ("absent.meme", "absent.meme"),
    ],
)
def test_read_meme_says_what_is_wrong(text, message):
    with pytest.raises(DataError, match=message):
        read_meme(text)
