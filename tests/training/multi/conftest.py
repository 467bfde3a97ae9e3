"""Two tasks over the same sequences, and models small enough to train in a blink."""

import numpy as np
import pytest
import torch

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data.datasets import GenomicDataset
from genomic_lens.model import HyenaGLTForRegression, HyenaGLTForSequenceClassification
from genomic_lens.training.multi import MultiTaskLearner

SHAPE = {
    "vocab_size": 12, "d_model": 8, "n_layers": 1, "sequence_length": 32, "filter_order": 8, "filter_features": 3,
    "filter_depth": 1, "dropout": 0.0, "learning_rate": 1e-2, "batch_size": 8, "num_epochs": 3, "logging_steps": 1,
}  # fmt: skip


def build_config(**options):
    return HyenaGLTConfig(**SHAPE | options)


def build_models(start=0, **options):
    torch.manual_seed(start)
    first = HyenaGLTForSequenceClassification(build_config(num_classes=2, **options))
    second = HyenaGLTForRegression(build_config(num_classes=1, **options))
    return first, second


def planted(count, seed, motif="TGACTCA", length=24):
    """Sequences half of which hold a motif, with whether they do, and how far from the middle it begins (or 0)."""
    generator = np.random.default_rng(seed)
    sequences, holds, values = [], [], []
    for number in range(count):
        letters = generator.choice(list("ACGT"), length)
        holds.append(number % 2)
        values.append(float(number % 2))
        if number % 2:
            place = generator.integers(0, length - len(motif) + 1)
            letters[place : place + len(motif)] = list(motif)
        sequences.append("".join(letters))
    return sequences, holds, values


def build_data(count=40, seed=0):
    sequences, holds, values = planted(count, seed)
    return [GenomicDataset(sequences, holds), GenomicDataset(sequences[: count // 2], values[: count // 2])]


def build_learner(folder=None, start=0, shared=True, callbacks=(), **options):
    first, second = build_models(start, **options)
    return MultiTaskLearner(
        ["holds", "value"], [first, second], [0.6, 0.4], shared=first if shared else None, output_dir=folder,
        callbacks=callbacks,
    )  # fmt: skip


@pytest.fixture
def make_config():
    return build_config


@pytest.fixture
def make_models():
    return build_models


@pytest.fixture
def make_data():
    return build_data


@pytest.fixture
def make_learner():
    return build_learner


@pytest.fixture
def make_planted():
    return planted
