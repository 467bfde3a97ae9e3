"""Benchmarks in their layouts, species, chromatin profiles."""

import gc
import gzip
import os
import pickle
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from genomic_lens.data.alphabets import reverse_complement
from genomic_lens.data.datasets import PaddingCollator
from genomic_lens.data.readers import genome_files
from genomic_lens.data.readers.genome_files import GenomeFile
from genomic_lens.data.suites import ChromatinProfileDataset, SpeciesDataset, chromatin, list_suites, load_task
from genomic_lens.data.suites.layouts import read_layout
from genomic_lens.data.suites.species import read_species
from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.training.checks import check_lengths


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# --- benchmarks -----------------------------------------------------------------------------------------------------


def test_each_layout_gives_the_same_table(tmp_path):
    for split in ("train", "test"):
        write(tmp_path / "a" / split / "no" / "1.txt", "ACGT\n")
        write(tmp_path / "a" / split / "yes" / "1.txt", "TTGA")
        write(tmp_path / "b" / f"{split}.fna", ">c:1-4|0\nACGT\n>d x|1\nTT\nGA\n")
        write(tmp_path / "c" / f"{split}.csv", "sequence,label\nACGT,0\nTTGA,1\n")
    assert read_layout(tmp_path / "a", "folders")["test"].to_numpy().tolist() == [["ACGT", "no"], ["TTGA", "yes"]]
    for folder in ("b", "c"):
        splits = read_layout(tmp_path / folder, "folders")
        assert sorted(splits) == ["test", "train"]
        assert splits["train"].to_numpy().tolist() == [["ACGT", 0], ["TTGA", 1]]


def test_tasks_are_found_below_the_folder_of_their_suite(tmp_path):
    write(tmp_path / "GUE" / "mouse" / "2" / "dev.csv", "sequence,label\nACGT,0\n")
    for folder in (tmp_path / "GUE", tmp_path / "GUE" / "mouse", tmp_path / "GUE" / "mouse" / "2"):
        assert load_task("gue", "mouse/2", folder)["dev"].shape == (1, 2)


def test_what_is_missing_is_asked_for(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"no folder; fetch mouse/2 from https://.*Licence: Apache-2.0; cite Zhou"):
        load_task("gue", "mouse/2", tmp_path / "nowhere")
    with pytest.raises(DataError, match="not on the hub: fetch mouse/2"):
        load_task("gue", "mouse/2")
    with pytest.raises(DataError, match=r"expected such as train.csv"):
        load_task("gue", "mouse/2", tmp_path)

    def unreachable(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    with pytest.raises(DataError, match="H3 is not here and the hub cannot be reached: fetch H3 from"):
        load_task("nucleotide_transformer", "H3")


def test_names_that_are_none_are_refused_with_the_closest(tmp_path):
    with pytest.raises(DataError, match="closest: gue"):
        load_task("gues", "mouse/2")
    with pytest.raises(DataError, match="closest: mouse/2"):
        load_task("gue", "mouse/22")
    write(tmp_path / "train.fna", ">c1\nACGT\n")
    with pytest.raises(DataError, match="'c1' .* has no label"):
        load_task("nucleotide_transformer", "H3", tmp_path)


def test_the_table_has_every_task_once():
    table = list_suites()
    assert not table.index.has_duplicates
    assert table.groupby(level="suite").size().to_dict() == {
        "genomic_benchmarks": 8, "gue": 28, "nucleotide_transformer": 18,
    }  # fmt: skip
    assert (table != "").all(axis=None)


def test_gue_is_read_as_it_is_published(tmp_path):
    folder = Path(os.environ.get("GENOMIC_LENS_SHARED", "../shared"), "data", "gue")
    files = {split: folder / f"mouse_2_{split}.csv.gz" for split in ("train", "dev", "test")}
    if not all(file.exists() for file in files.values()):
        pytest.skip(f"mouse_2 is not in {folder}")
    for split, file in files.items():
        (tmp_path / f"{split}.csv.gz").write_bytes(file.read_bytes())
    splits = load_task("gue", "mouse/2", tmp_path)
    assert {split: len(table) for split, table in splits.items()} == {"train": 2620, "dev": 328, "test": 328}
    assert splits["train"].sequence.str.len().unique().tolist() == [101]


# --- species --------------------------------------------------------------------------------------------------------

AT, GC = "ATATTATAATTATATTAATA", "GCGCCGCGGCGGCCGCGC"


@pytest.fixture
def genomes(tmp_path):
    write(tmp_path / "at.fa", f">c1\n{AT}\n>c2\nTTTTAA\n")
    with zipfile.ZipFile(tmp_path / "gc.zip", "w") as archive:
        archive.writestr("deep/c1.fna", f">c1\n{GC}\n")
        archive.writestr("deep/README.txt", "no sequence")
    write(tmp_path / "mixed" / "c1.fasta", ">c1\nACGTACGTACGT\n")
    return tmp_path


def test_folders_files_and_archives_are_species(genomes):
    found = {name: {key: str(contig) for key, contig in one.items()} for name, one in read_species(genomes).items()}
    assert found == {
        "at": {"c1": AT, "c2": "TTTTAA"}, "gc": {"c1": GC}, "mixed": {"c1": "ACGTACGTACGT"},
    }  # fmt: skip
    with pytest.raises(DataError, match=r"gc.zip has none of the contigs c2"):
        read_species(genomes, ["c2"])


def test_windows_come_from_their_species_in_turn(genomes):
    dataset = SpeciesDataset(genomes, length=6, count=50)
    assert dataset.label_names == ("at", "gc", "mixed")
    assert len(dataset) == 150
    texts = [list(map(str, contigs.values())) for contigs in dataset.contigs]
    both = [[*one, *map(reverse_complement, one)] for one in texts]
    for number in range(150):
        assert dataset[number]["labels"] == number % 3
        assert any(dataset.sequence(number) in bases for bases in both[number % 3])
    assert {dataset.sequence(number) in GC for number in range(1, 150, 3)} == {True, False}  # both strands


def test_species_windows_are_those_of_seed_and_epoch(genomes):
    one, other = SpeciesDataset(genomes, 6, 10, seed=1), SpeciesDataset(genomes, 6, 10, seed=1)
    first = [one.sequence(number) for number in range(30)]
    assert [other.sequence(number) for number in reversed(range(30))] == first[::-1]
    other.set_epoch(1)
    assert [other.sequence(number) for number in range(30)] != first
    batch = next(iter(DataLoader(one, 4, collate_fn=PaddingCollator())))
    assert batch["labels"].tolist() == [0, 1, 2, 0]


def test_species_that_cannot_be_told_apart_are_refused(genomes, tmp_path):
    with pytest.raises(DataError, match="mixed has no contig of 15 bases"):
        SpeciesDataset(genomes, length=15, count=1)
    with pytest.raises(ConfigurationError):
        SpeciesDataset(genomes, length=0, count=1)
    with pytest.raises(DataError, match="holds 1 species"):
        read_species(write(tmp_path / "one" / "a.fa", ">c\nA\n").parent)
    (tmp_path / "bad.zip").write_text("no")
    with pytest.raises(DataError, match=r"bad.zip cannot be read"):
        read_species(tmp_path)


# --- chromatin ------------------------------------------------------------------------------------------------------


def test_profiles_are_windows_with_many_labels(tmp_path):
    genome = write(tmp_path / "g.fa", ">chr1\nGATTACAGATTACA\n")
    table = write(tmp_path / "t.csv", "id,Chr_hg19,start_hg19,end_hg19,a,b\nx,chr1,2,6,0,1\ny,chr1,0,2,1,0\n")
    dataset = ChromatinProfileDataset(table, genome, length=4, labels=2)
    assert list(dataset.sequences) == dataset.sequences[:] == ["TTAC", "NGAT"]
    assert dataset.label_names == ("a", "b")
    batch = PaddingCollator()([dataset[0], dataset[1]])
    assert batch["labels"].dtype == torch.float32
    assert batch["labels"].tolist() == [[0, 1], [1, 0]]
    assert np.array_equal(dataset[0]["input_ids"], dataset.tokenizer.encode("TTAC"))


def drawn_genome(tmp_path, name="genome.fa"):
    letters = np.random.default_rng(0).choice(list("ACGT"), (2, 400))
    texts = {f"chr{number}": "".join(row) for number, row in enumerate(letters, 1)}
    write(tmp_path / name, "".join(f">{key}\n{text}\n" for key, text in texts.items()))
    return texts


def test_bases_are_read_when_they_are_asked_for(tmp_path, monkeypatch):
    """Not one window while the data are made, nor to learn how long they are; then each one alone."""
    texts = drawn_genome(tmp_path)
    rows = [f"chr{1 + number % 2},{10 * number},{10 * number + 20},{number % 2}" for number in range(30)]
    table = write(tmp_path / "t.csv", "\n".join(["chrom,start,end,a", *rows]))
    read, whole = [], genome_files.padded_window
    monkeypatch.setattr(genome_files, "padded_window", lambda *place: read.append(place[1:]) or whole(*place))
    dataset = ChromatinProfileDataset(table, tmp_path / "genome.fa", length=20)
    check_lengths(dataset, "training", limit=20)
    assert len(read) == 1  # an example, to count its tokens
    assert dataset.sequences[7] == texts["chr2"][70:90]
    assert len(read) == 2
    assert dataset.sequences[-2:] == [texts["chr1"][280:300], texts["chr2"][290:310]]


@pytest.mark.parametrize("ending", [".fa", ".fa.gz"])
def test_workers_open_the_genome_for_themselves(tmp_path, ending):
    texts = drawn_genome(tmp_path)
    file = tmp_path / f"g{ending}"
    bases = (tmp_path / "genome.fa").read_bytes()
    file.write_bytes(gzip.compress(bases) if ending.endswith("gz") else bases)
    rows = [f"chr{1 + number % 2},{number},{number + 20},{number % 2}" for number in range(380)]
    dataset = ChromatinProfileDataset(write(tmp_path / "t.csv", "\n".join(["chrom,start,end,a", *rows])), file, 20)
    expected = torch.stack([torch.from_numpy(dataset[number]["input_ids"]) for number in range(380)])
    loader = DataLoader(dataset, 10, num_workers=2, collate_fn=PaddingCollator())
    assert torch.equal(torch.cat([batch["input_ids"] for batch in loader]), expected)
    again = pickle.loads(pickle.dumps(dataset))
    assert again.sequences[5] == texts["chr2"][5:25]


def test_what_was_unpacked_goes_with_the_genome(tmp_path):
    drawn_genome(tmp_path)
    file = tmp_path / "g.fa.gz"
    file.write_bytes(gzip.compress((tmp_path / "genome.fa").read_bytes()))
    genome = GenomeFile(file)
    plain = genome.plain
    assert plain.exists()
    assert plain.parent != tmp_path
    del genome
    gc.collect()
    assert not plain.exists()


def test_hyena_dna_tables_count_chromosomes_from_zero(tmp_path):
    """Row numbers are no labels; names of contigs are the genome's, with or without chr."""
    header = ",Chr_No,Start,End,y_0,y_1,y_2"
    rows = ["0,0,100,120,1,0,1", "1,1,100,120,0,0,1", "2,22,10,30,1,1,1"]
    table = write(tmp_path / "train_hg38_coords_targets.csv", "\n".join([header, *rows]))
    genome = write(tmp_path / "hg38.ml.fa", "".join(f">{name}\n{'ACGT' * 50}\n" for name in ("chr1", "2", "chrX")))
    dataset = ChromatinProfileDataset(table, genome, length=20, labels=3)
    assert [place.contig for place in dataset.places] == ["chr1", "2", "chrX"]
    assert dataset.label_names == ("y_0", "y_1", "y_2")
    assert dataset.labels.dtype == np.uint8
    assert dataset.labels.tolist() == [[1, 0, 1], [0, 0, 1], [1, 1, 1]]
    with pytest.raises(DataError, match=r"holds places on hg38, and .*hg19.fa is by its name another genome"):
        ChromatinProfileDataset(table, write(tmp_path / "hg19.fa", ">chr1\nACGT\n"), length=20)


def test_labels_of_a_table_in_parts_are_those_of_the_whole(tmp_path, monkeypatch):
    drawn_genome(tmp_path)
    labels = np.random.default_rng(1).integers(0, 2, (33, 4))
    rows = [f"chr1,{number},{number + 8}," + ",".join(map(str, row)) for number, row in enumerate(labels)]
    table = write(tmp_path / "t.csv", "\n".join(["chrom,start,end,a,b,c,d", *rows]))
    monkeypatch.setattr(chromatin, "example_parts", partial(chromatin.example_parts, rows=10))
    dataset = ChromatinProfileDataset(table, tmp_path / "genome.fa", length=8)
    assert np.array_equal(dataset.labels, labels)
    assert [place.start for place in dataset.places] == list(range(33))
    write(table, table.read_text() + "\nchr1,40,48,0,0,0,7")
    with pytest.raises(DataError, match="other than 0 and 1"):
        ChromatinProfileDataset(table, tmp_path / "genome.fa", length=8)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("chrom,start,end,a\nchr1,2,6,2\n", {}, "other than 0 and 1"),
        ("chrom,start,end,a\nchr1,2,6,1\n", {"labels": 919}, "has 1 columns of labels; expected 919"),
        ("chrom,end,a\nchr1,6,1\n", {}, "no column of start"),
        ("chrom,start,end,a\nchr1,2,60,1\n", {}, "lies outside"),
        ("chrom,start,end\nchr1,2,6\n", {}, "0 columns of labels"),
    ],
)
def test_profiles_that_do_not_fit_are_refused(tmp_path, text, options, message):
    genome = write(tmp_path / "g.fa", ">chr1\nGATTACAGATTACA\n")
    with pytest.raises(DataError, match=message):
        ChromatinProfileDataset(write(tmp_path / "t.csv", text), genome, 4, **options)


def test_tables_in_the_parts_of_a_hub_are_one_split_each(tmp_path):
    (tmp_path / "data").mkdir()
    for part, rows in enumerate(["ACGT,0", "TTGA,1"]):
        (tmp_path / "data" / f"train-0000{part}-of-00002.csv").write_text(f"sequence,label\n{rows}\n")
    (tmp_path / "data" / "test-00000-of-00001-abc123.csv").write_text("sequence,label\nGGGG,1\n")
    (tmp_path / "readme.csv").write_text("nothing,here\n1,2\n")
    splits = read_layout(tmp_path, "tables")
    assert {name: table.to_numpy().tolist() for name, table in splits.items()} == {
        "train": [["ACGT", 0], ["TTGA", 1]], "test": [["GGGG", 1]],
    }  # fmt: skip
