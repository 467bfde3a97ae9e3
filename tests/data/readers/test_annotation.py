"""BED, GFF, GTF and GenBank give the same places; what is none of them is refused with its line."""

import gzip
import os
from pathlib import Path

import pytest

from genomic_lens.data.readers import read_bed, read_genbank, read_gff
from genomic_lens.data.readers.annotation import attributes_of
from genomic_lens.errors import DataError

GENBANK = """LOCUS       TOY                       30 bp    DNA     circular BCT 01-JAN-2000
DEFINITION  A toy circle.
ACCESSION   TOY
FEATURES             Location/Qualifiers
     gene            3..11
                     /gene="one"
     CDS             3..11
                     /gene="one"
                     /product="first"
                     /protein_id="P1"
     CDS             complement(13..18)
                     /locus_tag="T2"
     CDS             join(25..30,1..2)
                     /gene="three"
     CDS             complement(join(26..30,1..4))
                     /gene="four"
     tRNA            join(2..4,8..10)
                     /gene="five"
ORIGIN
        1 acgtacgtac gtacgtacgt acgtacgtac
//
"""


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        if name.endswith(".gz"):
            path.write_bytes(gzip.compress(text.encode()))
        else:
            path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_bed_is_read_as_it_is(write, ending):
    text = "#c\nbrowser x\ntrack name=y\nchr1\t0\t5\nchr1\t7\t7\tpoint\t3.5\t-\t0\t0\t1,2\n\nchr2\t1\t2\tb\t.\t.\n"
    table = read_bed(write(f"a.bed{ending}", text))
    assert table[["contig", "start", "stop", "strand"]].to_numpy().tolist() == [
        ["chr1", 0, 5, "."], ["chr1", 7, 7, "-"], ["chr2", 1, 2, "."],
    ]  # fmt: skip
    assert table.index.tolist() == [4, 5, 7]
    assert table.name.tolist() == ["", "point", "b"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chr1\t3", "Line 2 .* has 2 columns"),
        ("chr1 3 5", "separated by tabs"),
        ("chr1\t-3\t5", "Line 2 .* has start '-3'"),
        ("chr1\t3\t5.0", "has stop '5.0'"),
        ("chr1\t5\t3", "ends at 3, before it begins at 5"),
        ("chr1\t3\t5\t\t\tplus", "strand 'plus'"),
    ],
)
def test_a_line_that_is_no_bed_is_named(write, line, message):
    with pytest.raises(DataError, match=message):
        read_bed(write("a.bed", f"chr1\t1\t2\n{line}\n"))


def test_gff_and_gtf_say_the_same(write):
    gff = 'chr1\tx\tCDS\t11\t20\t.\t-\t0\tID=c;Name=dna%2CA\n###\n##FASTA\n>chr1\nACGT\n'
    gtf = 'chr1\tx\tCDS\t11\t20\t.\t-\t0\tgene_id "g"; gene_name "dna,A";\nchr1\tx\texon\t1\t2\t.\t?\t.\t\n'
    one = read_gff(write("a.gff3", f"##gff-version 3\n{gff}"))
    other = read_gff(write("a.gtf.gz", gtf), kind="CDS")
    assert one.drop(columns="attributes").to_numpy().tolist() == [["chr1", 10, 20, "-", "CDS", "dna,A"]]
    assert other.drop(columns="attributes").to_numpy().tolist() == one.drop(columns="attributes").to_numpy().tolist()
    with pytest.raises(DataError, match="has no 'gene'; it has CDS, exon"):
        read_gff(write("a.gtf.gz", gtf), kind="gene")


def test_attributes_may_hold_spaces_and_nothing():
    assert attributes_of('note "a b"; level 2') == {"note": "a b", "level": "2"}
    assert attributes_of("") == {}
    assert attributes_of("ID=a;Note=x y;Parent=b,c") == {"ID": "a", "Note": "x y", "Parent": "b,c"}


def test_a_genbank_record_is_a_genome(write):
    pytest.importorskip("Bio")
    (genome,) = read_genbank(write("toy.gbk", GENBANK))
    assert (genome.sequence, genome.circular) == ("ACGTACGTAC" "GTACGTACGT" "ACGTACGTAC", True)
    rows = genome.genes[["start", "stop", "strand", "kind", "name", "segments"]].to_numpy().tolist()
    assert rows == [
        [2, 11, "+", "CDS", "one", ""],
        [12, 18, "-", "CDS", "T2", ""],
        [24, 32, "+", "CDS", "three", ""],
        [25, 34, "-", "CDS", "four", ""],
        [1, 10, "+", "tRNA", "five", "1-4;7-10"],
    ]
    assert genome.genes.loc[0, ["product", "reference"]].tolist() == ["first", "P1"]
    assert genome.gene_sequence(2) == genome.sequence[24:] + genome.sequence[:2]


def test_what_is_no_genbank_is_refused(write):
    pytest.importorskip("Bio")
    with pytest.raises(DataError, match="holds no GenBank record"):
        read_genbank(write("toy.gbk", "ACGT\n"))


def test_the_chlamydia_genome_is_read_from_its_record():
    pytest.importorskip("Bio")
    path = Path(os.environ.get("GENOMIC_LENS_SHARED", "../shared"), "data", "genome", "ct.gbk.gz")
    if not path.exists():
        pytest.skip(f"{path} is not here")
    (genome,) = read_genbank(path)
    assert len(genome) == 1_042_519
    assert (genome.genes.kind == "CDS").sum() >= 890
    coding = genome.genes[genome.genes.kind == "CDS"]
    starts = [genome.gene_sequence(row)[:3] for row in coding.index[:200]]
    assert sum(start in ("ATG", "GTG", "TTG") for start in starts) >= 195
