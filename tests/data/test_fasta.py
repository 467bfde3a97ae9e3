"""Pieces of FASTA files: the right bases, and one sentence for each kind of bad input."""

import gzip

import pytest

from genomic_lens.data.fasta import Interval, fetch, intervals, open_fasta, read_region, split_place
from genomic_lens.errors import DataError

FIRST, SECOND = "ACGTACGTTTNNacgt", "GGGGC"


@pytest.fixture(params=["plain", "gzip", "windows line ends", "no place for an index"])
def file(request, tmp_path):
    text = f">first with a comment\n{FIRST[:7]}\n{FIRST[7:14]}\n{FIRST[14:]}\n>second:2\n{SECOND}\n"
    path = tmp_path / ("two.fa.gz" if request.param == "gzip" else "two.fa")
    if request.param == "windows line ends":
        text = text.replace("\n", "\r\n")
    path.write_bytes(gzip.compress(text.encode()) if request.param == "gzip" else text.encode())
    if request.param == "no place for an index":
        tmp_path.chmod(0o555)
    yield path
    tmp_path.chmod(0o755)


def test_sequences_whole_and_in_part(file):
    with open_fasta(file) as records:
        assert intervals(records) == [("first", 0, 16), ("second:2", 0, 5)]
        assert [fetch(records, place) for place in intervals(records)] == [FIRST, SECOND]
        assert fetch(records, intervals(records, "first:6-9")[0]) == FIRST[5:9]
        assert fetch(records, intervals(records, "second:2:5-")[0]) == SECOND[4:]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chr1", Interval("chr1", 0, 100)),
        ("chr1:11-20", Interval("chr1", 10, 20)),
        ("chr1:1-1", Interval("chr1", 0, 1)),
        ("HLA:01", Interval("HLA:01", 0, 2000)),
        ("HLA:01:1,001-2,000", Interval("HLA:01", 1000, 2000)),
    ],
)
def test_regions_count_from_one_and_include_both_ends(text, expected):
    assert read_region(text, {"chr1": 100, "HLA:01": 2000}) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("chr2", "no sequence named 'chr2'"),
        ("chr2:1-5", "no sequence named 'chr2'"),
        ("chr1:0-5", "bases 1 to 100"),
        ("chr1:90-101", "bases 1 to 100"),
        ("chr1:9-5", "bases 1 to 100"),
        ("chr1:five", "not understood"),
    ],
)
def test_regions_that_are_not_there(text, says):
    with pytest.raises(DataError, match=says):
        read_region(text, {"chr1": 100})


def test_file_and_region_are_told_apart(tmp_path):
    odd = tmp_path / "a:b.fa"
    odd.write_text(">x\nA\n")
    assert split_place(str(odd)) == (str(odd), None)
    assert split_place(f"{odd}:x:1-1") == (str(odd), "x:1-1")
    assert split_place("missing.fa.gz:chr1:5-9") == ("missing.fa.gz", "chr1:5-9")
    assert split_place("missing.fa") == ("missing.fa", None)


def damaged(packed: bytes) -> bytes:
    """The same bytes with some in the middle turned."""
    middle = len(packed) // 2
    return packed[:middle] + bytes(255 - byte for byte in packed[middle : middle + 8]) + packed[middle + 8 :]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "is no file"),
        (b"", "cannot be read as FASTA|holds no sequence"),
        (b"hello\nworld\n", "cannot be read as FASTA|holds no sequence"),
        (gzip.compress(b">a\n" + b"ACGT" * 500, mtime=0)[:-9], "check that it is whole"),
        (damaged(gzip.compress(b">a\n" + bytes(range(65, 85)) * 500, mtime=0)), "check that it is whole"),
    ],
)
def test_bad_files_are_refused_in_a_sentence(tmp_path, content, says):
    path = tmp_path / "bad.fa"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=says), open_fasta(path):
        pass


def test_a_file_of_empty_sequences_is_refused(tmp_path):
    path = tmp_path / "empty.fa"
    path.write_text(">a\n>b\n")
    with pytest.raises(DataError, match=r"empty|no sequence"), open_fasta(path) as records:
        intervals(records)
