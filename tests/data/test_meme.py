"""MEME text: what is read, what is written, and what is refused."""

import gzip

import numpy as np
import pytest

from genomic_lens.data.meme import read_meme, write_meme
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


# --- writing ----------------------------------------------------------------------------------------------------------


def some_motifs():
    generator = np.random.default_rng(0)
    return {f"MA{rank} name{rank}": generator.dirichlet(np.ones(4), rank + 3) for rank in range(4)}


@pytest.mark.parametrize("name", ["motifs.meme", "motifs.meme.gz"])
def test_what_is_written_is_read_back(tmp_path, name):
    motifs = some_motifs()
    path = write_meme(motifs, tmp_path / "new" / name, sites={"MA1 name1": 31})
    again = read_meme(path)
    assert list(again) == list(motifs)
    for key, rows in motifs.items():
        np.testing.assert_allclose(again[key], rows, atol=1e-6)
    assert [entry.name for entry in path.parent.iterdir()] == [name]


def test_other_programs_find_what_they_need(tmp_path):
    """memelite reads the MEME format on its own; the header is that of version 4."""
    from memelite.io import read_meme as peer

    path = write_meme(some_motifs(), tmp_path / "motifs.meme", {"MA1 name1": 31}, background=(0.3, 0.2, 0.2, 0.3))
    text = path.read_text()
    assert text.startswith("MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n")
    assert "A 0.3 C 0.2 G 0.2 T 0.3" in text
    assert "alength= 4 w= 4 nsites= 31\n" in text
    for (name, rows), (key, found) in zip(some_motifs().items(), peer(str(path)).items(), strict=True):
        assert key.split()[0] == name.split()[0]
        np.testing.assert_allclose(np.asarray(found).T, rows, atol=1e-5)


def test_the_same_motifs_give_the_same_bytes(tmp_path):
    first, second = (write_meme(some_motifs(), tmp_path / name).read_bytes() for name in ("a.meme.gz", "b.meme.gz"))
    assert first == second


@pytest.mark.parametrize(
    ("motifs", "message"),
    [
        ({}, "0 motifs came with 0 names"),
        ({" ": np.eye(4)}, "each with its own name"),
        ({"a b": np.eye(4), "a  b": np.eye(4)}, "2 motifs came with 1 names"),
        ({"one": np.eye(4)[:, :3]}, "one"),
        ({"one": 2 * np.eye(4)}, "one"),
        ({"one": np.full((3, 4), np.nan)}, "one"),
        ({"one": np.array([[1.5, -0.5, 0, 0]])}, "one"),
    ],
)
def test_write_meme_says_what_is_wrong(motifs, message, tmp_path):
    with pytest.raises(DataError, match=message):
        write_meme(motifs, tmp_path / "motifs.meme")
    assert not list(tmp_path.iterdir())
