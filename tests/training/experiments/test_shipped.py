"""Each experiment that ships, on a tiny copy of its data in the published layout; and what is said where data lack."""

import numpy as np
import pandas as pd
import pytest

from genomic_lens.errors import DataError
from genomic_lens.training.experiments import list_experiments, load_experiment, plan_experiment
from genomic_lens.training.experiments.registry import build_datasets

from .conftest import TINY, bases, fasta

SMALL = [one for one in TINY if not one.startswith("training.batch")]
BATCH = ["training.batch_size=4", "training.global_batch_size=null"]


def write_classes(folder, task, counts=(8, 4), length=30):
    """Genomic Benchmarks: a folder a split and a class, a file a sequence."""
    for split, count in zip(("train", "test"), counts, strict=True):
        for number, label in enumerate(("negative", "positive")):
            place = folder / task / split / label
            place.mkdir(parents=True)
            for row, sequence in enumerate(bases(count, length, seed=10 * number + count)):
                (place / f"{row}.txt").write_text(sequence)


@pytest.fixture
def genome(tmp_path):
    """Two chromosomes, and intervals with their split in the fourth column."""
    chromosomes = dict(zip(("chr1", "chr2"), bases(2, 800), strict=True))
    fasta(tmp_path / "hg38.ml.fa", chromosomes)
    rows = [("chr1", start, start + 100, "train") for start in range(0, 700, 100)]
    rows += [
        ("chr2", 0, 100, "valid"),
        ("chr2", 100, 200, "valid"),
        ("chr2", 700, 800, "test"),
        ("chr2", 400, 500, "test"),
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "human-sequences.bed", sep="\t", header=False, index=False)
    return [f"dataset.genome={tmp_path / 'hg38.ml.fa'}", f"dataset.intervals={tmp_path / 'human-sequences.bed'}"]


def test_genomic_benchmark_from_scratch_then_loaded(run_tiny, tmp_path):
    write_classes(tmp_path / "gb", "human_enhancers_cohn")
    where = [f"dataset.folder={tmp_path / 'gb'}", "dataset.task=human_enhancers_cohn", *BATCH]
    run = run_tiny("genomic_benchmark", *where, tiny=SMALL)
    assert run.model.config.sequence_length == 502
    assert tuple(run.model.config.id2label.values()) == ("negative", "positive")
    assert run.scores["accuracy"].items == 8
    bare = ["evaluation.resamples=0", "training.num_epochs=1", f"model.source={run.folder / 'model'}"]
    loaded = run_tiny("genomic_benchmark_load", *where, "evaluation.only=true", tiny=bare, folder="loaded")
    assert loaded.scores["accuracy"].value == run.scores["accuracy"].value
    assert loaded.history.empty
    tuned = run_tiny("genomic_benchmark_fine_tune", *where, "freeze=true", tiny=bare, folder="tuned")
    assert tuned.history.step.max() == 4  # two of the sixteen are put aside for validation


@pytest.mark.parametrize("layout", ["published", "hyena_dna"])
def test_nucleotide_transformer(run_tiny, tmp_path, layout):
    for split, count in (("train", 10), ("test", 6)):
        records = {f"chr1:{row}|{row % 2}": sequence for row, sequence in enumerate(bases(count, 40, seed=count))}
        name = f"enhancers/{split}.fna" if layout == "published" else f"enhancer/all_{split}_enhancer.fasta"
        fasta(tmp_path / name, records)
    task = "enhancers" if layout == "published" else "enhancer"
    run = run_tiny("nucleotide_transformer", f"dataset.folder={tmp_path}", f"dataset.task={task}", *BATCH, tiny=SMALL)
    assert run.scores["mcc"].items == 6


def test_hg38(run_tiny, genome):
    run = run_tiny("hg38", *genome, *BATCH, "dataset.max_length=64", "dataset.shift=3", tiny=SMALL)
    assert run.history.step.max() == 2
    assert run.model.config.sequence_length == 66
    assert 1.9 < run.scores["bits_per_base"].value < 4.5
    splits = build_datasets("genome", run.experiment.dataset.options)
    assert [len(split) for split in splits.values()] == [7, 2, 2]
    assert len(splits["train"][0]["input_ids"]) == 65  # and [SEP]


def test_any_fasta_without_intervals(genome):
    splits = build_datasets("genome", {"genome": genome[0].partition("=")[2], "max_length": 40})
    assert [len(split) for split in splits.values()] == [32, 4, 4]
    places = {split: {(place.contig, place.start) for place in dataset.places} for split, dataset in splits.items()}
    assert not places["train"] & places["validation"] | places["train"] & places["test"]


def test_sequence_length_warm_up_ends_at_the_length_of_the_test(run_tiny, genome):
    stages = "curriculum.stages=[{max_length: 16, batch_size: 4}, {max_length: 64, batch_size: 1}]"
    run = run_tiny("seqlen_warmup", *genome, *BATCH, "dataset.max_length=64", stages, tiny=SMALL)
    assert run.history.step.max() == 2 + 7
    shipped = load_experiment("seqlen_warmup")
    assert {stage["max_length"] * stage["batch_size"] for stage in shipped.curriculum.stages} == {2**18}
    assert shipped.curriculum.stages[-1]["max_length"] == shipped.dataset.options["max_length"]


def test_species(run_tiny, tmp_path):
    for number, name in enumerate(("human", "mouse")):
        for chromosome, sequence in zip((1, 2, 5), bases(3, 300, seed=number), strict=True):
            zipped = chromosome == 2
            end = ".fna.gz" if zipped else ".fna"
            fasta(
                tmp_path / "species" / name / f"chr{chromosome}{end}", {f"CM{number}{chromosome}.1": sequence}, zipped
            )
    options = [f"dataset.folder={tmp_path / 'species'}", "dataset.max_length=32", "dataset.count=10", *BATCH]
    run = run_tiny("species", *options, "dataset.species=[human,mouse]", tiny=SMALL)
    assert tuple(run.model.config.id2label.values()) == ("human", "mouse")
    splits = build_datasets("species", run.experiment.dataset.options)
    held = bases(3, 300, seed=0)[2]
    assert all(window in held for window in splits["test"].sequences[::2])
    assert list(map(str, splits["train"].contigs[0].values())) == [bases(3, 300, seed=0)[1]]
    first = splits["train"].sequence(0)
    splits["train"].set_epoch(1)
    assert splits["train"].sequence(0) != first


def test_species_lie_flat_in_a_folder_under_their_names(tmp_path):
    """A file a species: its contigs are the chromosomes, some of which are held out."""
    for number, name in enumerate(("human", "mouse")):
        drawn = dict(zip(("chr1", "chr2", "chr5"), bases(3, 300, seed=number), strict=True))
        fasta(tmp_path / f"{name}.fa{'.gz' * number}", drawn, zipped=bool(number))
    splits = build_datasets("species", {"folder": str(tmp_path), "max_length": 32, "count": 10})
    assert splits["train"].label_names == ("human", "mouse")
    assert [list(one) for one in splits["train"].contigs] == [["chr2"], ["chr2"]]
    for split, chromosome in (("validation", 0), ("test", 2)):
        assert all(window in bases(3, 300, seed=1)[chromosome] for window in splits[split].sequences[1::2])
    fasta(tmp_path / "human.fa", {"chr1": "ACGT" * 9, "chr5": "ACGT" * 9})
    (tmp_path / "human.fa.fai").unlink()
    with pytest.raises(DataError, match="human has none of the chromosomes 2; choose others"):
        build_datasets("species", {"folder": str(tmp_path), "max_length": 32, "count": 10})


def test_chromatin_profile(run_tiny, genome, tmp_path):
    """HyenaDNA's layout: chromosomes are counted from 0."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4), ("test", 6)):
        table = pd.DataFrame({"Chr_No": generator.integers(0, 2, count), "Start": 100 * np.arange(count)})
        table["End"] = table.Start + 100
        for label in range(3):
            table[f"y_{label}"] = np.arange(count) % (label + 2) == 0
        table.astype(int).to_csv(tmp_path / f"{split}_hg38_coords_targets.csv")
    options = [genome[0], f"dataset.folder={tmp_path}", "dataset.labels=3", "dataset.max_length=50", *BATCH]
    run = run_tiny("chromatin_profile", *options, "evaluation.each=false", tiny=SMALL)
    assert run.model.config.num_labels == 3
    assert 0 <= run.scores["auroc"].value <= 1
    named = pd.read_csv(tmp_path / "train_hg38_coords_targets.csv")
    data = build_datasets("chromatin_profile", run.experiment.dataset.options)["train"]
    assert [place.contig for place in data.places] == [f"chr{number + 1}" for number in named.Chr_No]


def test_experiments_of_the_package_need_no_files():
    for name in ("splice_junctions", "genome_pretraining"):
        assert plan_experiment(load_experiment(name, TINY)).steps > 10


MISSING = {
    "genomic_benchmark": ("dataset.folder=none", "none/human_enhancers_cohn/train/CLASS/1.txt: fetch .* from https://"),
    "genomic_benchmark_fine_tune": ("dataset.folder=none", "fetch human_enhancers_cohn from https://"),
    "genomic_benchmark_load": ("dataset.folder=none", "fetch human_nontata_promoters from https://"),
    "nucleotide_transformer": ("dataset.folder=none", "none/enhancers/train.fna: fetch enhancers from https://"),
    "hg38": ("seed=0", "data/hg38/hg38.ml.fa is not there; fetch https://storage.googleapis.com/.*set dataset.genome="),
    "seqlen_warmup": ("seed=0", "fetch https://storage.googleapis.com/basenji_barnyard2/hg38.ml.fa.gz"),
    "species": ("seed=0", "There is no data/species/human/chr1.fna; fetch the chromosomes of human"),
    "chromatin_profile": ("seed=0", "no data/chromatin_profile/train_hg38_coords_targets.csv; make it from DeepSEA"),
}


@pytest.mark.parametrize("name", MISSING)
def test_missing_data_are_named_with_their_source_and_place(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    override, message = MISSING[name]
    with pytest.raises(DataError, match=message):
        plan_experiment(load_experiment(name, [override]))


def test_every_experiment_is_tried_here():
    assert set(list_experiments().index) == {*MISSING, "splice_junctions", "genome_pretraining"}
