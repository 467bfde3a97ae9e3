"""Small data in the layouts in which they are published, and settings that train on them in a blink."""

import gzip

import numpy as np
import pytest

from genomic_lens.training.experiments import load_experiment, run_experiment

TINY = [
    "model.d_model=8", "model.n_layers=1", "model.filter_order=8", "model.filter_features=3", "model.filter_depth=1",
    "training.batch_size=4", "training.num_epochs=1", "evaluation.resamples=0",
]  # fmt: skip


def bases(count, length, seed=0):
    """Random sequences."""
    generator = np.random.default_rng(seed)
    return ["".join(row) for row in generator.choice(list("ACGT"), (count, length))]


def fasta(path, records, zipped=False):
    """A FASTA file of names and bases."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f">{name}\n{sequence}\n" for name, sequence in records.items())
    with gzip.open(path, "wt") if zipped else path.open("w") as file:
        file.write(text)


@pytest.fixture
def run_tiny(tmp_path):
    """Run an experiment with a tiny model; the folder is a new one unless `output` is given."""

    def run(name, *overrides, tiny=TINY, folder="run"):
        return run_experiment(load_experiment(name, [*tiny, f"output={tmp_path / folder}", *overrides]))

    return run
