"""Text that is whole, variants, signal, tables of examples, and windows that pass the end."""

import gzip

import numpy as np
import pandas as pd
import pytest

from genomic_lens.data.alphabets import reverse_complement
from genomic_lens.data.fasta import open_fasta
from genomic_lens.data.readers import (
    load_genomic_sequences,
    load_labels,
    open_text,
    padded_window,
    read_bigwig,
    read_examples,
    read_vcf,
)  # fmt: skip
from genomic_lens.errors import ConfigurationError, DataError

# --- text -----------------------------------------------------------------------------------------------------------


def test_a_gzipped_text_that_is_cut_off_is_refused(tmp_path):
    whole = gzip.compress(b"line\n" * 5000)
    for cut in (len(whole) // 2, len(whole) - 4):
        (tmp_path / "a.gz").write_bytes(whole[:cut])
        with pytest.raises(DataError, match="cut off or damaged"), open_text(tmp_path / "a.gz") as text:
            text.read()


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"ACGT\xff\xfe")
    with pytest.raises(DataError, match="is no text"), open_text(tmp_path / "a.txt") as text:
        text.read()
    with pytest.raises(DataError, match="is no file"), open_text(tmp_path / "b.txt") as text:
        text.read()


# --- variants -------------------------------------------------------------------------------------------------------

HEAD = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def test_every_alternative_is_a_row_and_those_without_bases_are_counted(tmp_path):
    path = tmp_path / "a.vcf.gz"
    path.write_bytes(gzip.compress(f"{HEAD}chr1\t3\trs1\tAc\tg,<DEL>,*\t.\tPASS\tX=1\nchr2\t1\t.\tG\tGTT\t.\t.\t.\n".encode()))
    found = read_vcf(path)
    assert found.drop(columns=["filter", "info"]).to_numpy().tolist() == [
        ["chr1", 2, 4, "AC", "G", "rs1"], ["chr2", 0, 1, "G", "GTT", ""],
    ]  # fmt: skip
    assert found.attrs["left_out"] == 2
    assert found.index.tolist() == [3, 4]


@pytest.mark.parametrize(("line", "message"), [
    ("chr1\t0\t.\tA\tG", "Line 3 .* at position 0"), ("chr1\t3\t.\t<X>\tG", "reference '<X>'"),
    ("chr1\tx\t.\tA\tG", "position 'x'"), ("chr1\t3\t.\tA", "has 4 columns"),
])  # fmt: skip
def test_a_line_that_is_no_variant_is_named(tmp_path, line, message):
    (tmp_path / "a.vcf").write_text(f"{HEAD}{line}\n")
    with pytest.raises(DataError, match=message):
        read_vcf(tmp_path / "a.vcf")


# --- signal ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def bigwig(tmp_path):
    pybigtools = pytest.importorskip("pybigtools")
    path = tmp_path / "a.bw"
    writer = pybigtools.open(str(path), "w")
    writer.write({"chr1": 100}, iter([("chr1", 10, 20, 1.5), ("chr1", 20, 24, -2.0)]))
    writer.close()
    return path


def test_signal_is_a_number_a_base_and_nan_where_there_is_none(bigwig):
    values = read_bigwig(bigwig, "chr1", 8, 26)
    np.testing.assert_allclose(values, [np.nan] * 2 + [1.5] * 10 + [-2.0] * 4 + [np.nan] * 2)
    np.testing.assert_allclose(read_bigwig(bigwig, "chr1", 10, 24, bins=7), [1.5] * 5 + [-2.0] * 2)


def test_signal_of_nowhere_is_refused(bigwig, tmp_path):
    with pytest.raises(DataError, match="it has 100 bases"):
        read_bigwig(bigwig, "chr1", 90, 101)
    with pytest.raises(DataError, match="the file has chr1"):
        read_bigwig(bigwig, "chr2", 0, 1)
    with pytest.raises(ConfigurationError, match="bins=5"):
        read_bigwig(bigwig, "chr1", 0, 4, bins=5)
    (tmp_path / "b.bw").write_text("no")
    with pytest.raises(DataError, match="cannot be read as bigWig"):
        read_bigwig(tmp_path / "b.bw", "chr1", 0, 4)


# --- examples -------------------------------------------------------------------------------------------------------

ROWS = pd.DataFrame({"Seq": ["ACGT", "TTGA"], "label": [1, 0], "y2": [0.5, 1.5]})


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.jsonl", "a.parquet"])
def test_tables_of_every_kind_are_read(tmp_path, name):
    path = tmp_path / name
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
        ROWS.to_parquet(path)
    elif name.endswith(".jsonl"):
        ROWS.to_json(path, orient="records", lines=True)
    else:
        ROWS.to_csv(path, index=False, sep="\t" if ".tsv" in name else ",")
    assert load_genomic_sequences(path) == ["ACGT", "TTGA"]
    assert load_labels(path).tolist() == [1, 0]
    assert load_labels(path, ["label", "y2"]).tolist() == [[1, 0.5], [0, 1.5]]


def test_fasta_is_read_whole_or_in_part(tmp_path):
    path = tmp_path / "a.fa.gz"
    path.write_bytes(gzip.compress(b">one x\nACGTAC\nGT\n>two\nggn\n"))
    assert load_genomic_sequences(path) == ["ACGTACGT", "ggn"]
    assert load_genomic_sequences(path, region="one:6-8") == ["CGT"]


@pytest.mark.parametrize(("name", "text", "message"), [
    ("a.csv", "x,y\n1,2\n", "expected a column named sequence"), ("a.csv", "sequence,label\n", "holds no row"),
    ("a.csv", "sequence,label\n,1\n", "Row 0 .* has no sequence"), ("a.jsonl", "{", "cannot be read as a table"),
])  # fmt: skip
def test_tables_without_sequences_are_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        load_genomic_sequences(tmp_path / name)


def test_labels_that_are_missing_are_named(tmp_path):
    (tmp_path / "a.csv").write_text("sequence,label\nA,1\nC,\n")
    with pytest.raises(DataError, match="Row 1 .* has no label"):
        load_labels(tmp_path / "a.csv")
    with pytest.raises(DataError, match="expected column 'z'"):
        load_labels(tmp_path / "a.csv", "z")


def test_what_is_neither_table_nor_fasta_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="ends with .xlsx"):
        read_examples(tmp_path / "a.xlsx")
    (tmp_path / "a.csv").write_text("sequence\nA\n")
    with pytest.raises(ConfigurationError, match="regions are for FASTA"):
        load_genomic_sequences(tmp_path / "a.csv", region="chr1")


# --- windows --------------------------------------------------------------------------------------------------------


@pytest.fixture
def records(tmp_path):
    (tmp_path / "a.fa").write_text(">chr1\nGATTACAGGG\n")
    with open_fasta(tmp_path / "a.fa") as records:
        yield records


def test_windows_have_as_many_bases_as_were_asked_for(records):
    """At every place that touches the contig: the same as cutting a contig with N on both sides."""
    around = "N" * 20 + "GATTACAGGG" + "N" * 20
    for start in range(-6, 10):
        for stop in range(max(1, start + 1), 16):
            window = padded_window(records, "chr1", start, stop)
            assert window.sequence == around[start + 20 : stop + 20]
            assert (window.before, window.after) == (max(0, -start), max(0, stop - 10))
            other = padded_window(records, "chr1", start, stop, "-")
            assert other == (reverse_complement(window.sequence), window.after, window.before)


@pytest.mark.parametrize("place", [(10, 12), (-3, 0), (5, 5), (5, 4)])
def test_windows_outside_are_refused(records, place):
    with pytest.raises(DataError, match="it has 10"):
        padded_window(records, "chr1", *place)


def test_windows_of_no_contig_or_strand_are_refused(records):
    with pytest.raises(DataError, match="it has chr1"):
        padded_window(records, "chr2", 0, 1)
    with pytest.raises(DataError, match="strand is 'x'"):
        padded_window(records, "chr1", 0, 1, "x")
