"""Windows of genomes: where they lie, and that they are the same whoever reads them."""

import numpy as np
import pandas as pd
import pytest
from torch.utils.data import DataLoader

from genomic_lens.data.alphabets import reverse_complement
from genomic_lens.data.datasets import PaddingCollator, PretrainingDataset
from genomic_lens.data.datasets.pretraining import drawn_place
from genomic_lens.errors import ConfigurationError, DataError

CONTIGS = {"chr1": "GATTACAGGCATTACCGA", "chr2": "CCCCGGGG", "chr3": "AC"}


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in CONTIGS.items()))
    return path


def test_random_windows_are_where_they_say(genome):
    dataset = PretrainingDataset(genome, length=5, count=200, reverse_complement=True)
    strands = set()
    for number in range(200):
        place, window = dataset.window(number)
        bases = CONTIGS[place.contig][place.start : place.stop]
        assert window.sequence == (bases if place.strand == "+" else reverse_complement(bases))
        assert (window.before, window.after) == (0, 0)
        strands.add(place.strand)
    assert strands == {"+", "-"}


def test_every_place_is_equally_likely():
    generator, lengths = np.random.default_rng(0), {"a": 12, "b": 4, "c": 7}
    drawn = [drawn_place(lengths, 5, generator) for _ in range(11_000)]
    counts = pd.Series([(place.contig, place.start) for place in drawn]).value_counts()
    assert len(counts) == 8 + 3
    assert counts.min() > 850  # of 1,000, standard deviation 30
    assert counts.max() < 1150


def test_an_epoch_draws_the_same_again_and_another_does_not(genome):
    one, two = (PretrainingDataset(genome, length=4, count=20, seed=3) for _ in range(2))
    first = [one[number]["input_ids"].tolist() for number in range(20)]
    assert [two[number]["input_ids"].tolist() for number in reversed(range(20))] == first[::-1]
    two.set_epoch(1)
    assert [two[number]["input_ids"].tolist() for number in range(20)] != first


def test_workers_give_the_windows_of_one_process(genome):
    dataset = PretrainingDataset(genome, length=4, count=8)
    alone, beside = (DataLoader(dataset, 2, collate_fn=PaddingCollator(), num_workers=n) for n in (0, 2))
    for one, other in zip(alone, beside, strict=True):
        assert one["input_ids"].equal(other["input_ids"])
        assert one["labels"].equal(other["input_ids"])


def test_intervals_give_windows_around_their_middle(genome, tmp_path):
    (tmp_path / "a.bed").write_text("chr1\t4\t8\nchr3\t0\t2\n")
    dataset = PretrainingDataset(genome, length=6, intervals=tmp_path / "a.bed")
    assert [dataset.window(number)[1].sequence for number in (0, 1)] == ["TACAGG", "NNACNN"]
    assert len(dataset) == 2
    moving = PretrainingDataset(genome, 6, tmp_path / "a.bed", shift=2)
    starts = set()
    for epoch in range(60):
        moving.set_epoch(epoch)
        starts.add(moving.window(0)[0].start)
    assert starts == {1, 2, 3, 4, 5}


def test_windows_of_n_are_drawn_again(tmp_path):
    path = tmp_path / "n.fa"
    path.write_text(">a\n" + "N" * 500 + "ACGT" * 5 + "\n")
    dataset = PretrainingDataset(path, length=8, count=30)
    assert all(dataset.window(number)[1].sequence.count("N") <= 4 for number in range(30))


def test_what_cannot_be_read_is_refused(genome):
    with pytest.raises(DataError, match="No contig .* has 19 bases; the longest has 18"):
        PretrainingDataset(genome, length=19)
    outside = pd.DataFrame({"contig": ["chr2"], "start": [4], "stop": [9]})
    with pytest.raises(DataError, match="chr2:4-9 lies outside: chr2 has 8 bases"):
        PretrainingDataset(genome, 4, outside)
    with pytest.raises(DataError, match="chr9 is not in the genome"):
        PretrainingDataset(genome, 4, outside.assign(contig="chr9"))
    for options in ({"length": 0}, {"count": 0}, {"shift": -1}, {"most_unknown": 1.5}):
        with pytest.raises(ConfigurationError):
            PretrainingDataset(genome, **{"length": 4, **options})
    with pytest.raises(IndexError):
        PretrainingDataset(genome, 4, count=2)[2]


def test_windows_that_pass_an_end_are_counted_and_said(genome, caplog):
    places = pd.DataFrame({"contig": ["chr2", "chr2", "chr1"], "start": [0, 3, 8], "stop": [2, 5, 10]})
    with caplog.at_level("WARNING"):
        data = PretrainingDataset(genome, 4, places)
    assert data.padded == 1
    assert "1 of 3 windows pass an end" in caplog.text
    assert [data.window(index)[1].before for index in range(3)] == [1, 0, 0]
