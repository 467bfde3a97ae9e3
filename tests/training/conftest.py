"""Runs of a few steps: sequences with a rule behind them, and a model small enough to train in a blink."""

import gc

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data.datasets import GenomicDataset
from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.model import HyenaGLTForRegression, HyenaGLTForSequenceClassification
from genomic_lens.training import HyenaGLTTrainer

gc.freeze()  # accelerate collects garbage before each run: what is imported by now is none

SHAPE = {
    "vocab_size": 12, "d_model": 8, "n_layers": 1, "sequence_length": 16, "filter_order": 8, "filter_features": 3,
    "filter_depth": 1, "dropout": 0.3, "num_classes": 2, "learning_rate": 1e-2, "batch_size": 4, "num_epochs": 3,
    "logging_steps": 1,
}  # fmt: skip


def build_config(**options):
    return HyenaGLTConfig(**SHAPE | options)


def build_data(count=24, seed=0, values=False):
    """Sequences of 6 to 16 bases; the class is whether G and C are the majority, the value is their share."""
    generator = np.random.default_rng(seed)
    sequences = ["".join(generator.choice(list("ACGT"), generator.integers(6, 17))) for _ in range(count)]
    shares = [sum(base in "GC" for base in sequence) / len(sequence) for sequence in sequences]
    return GenomicDataset(sequences, shares if values else [int(share > 0.5) for share in shares])


def build_trainer(
    folder=None, *, start=0, validation=None, callbacks=(), values=False, curriculum=None, kind=None, data=None,
    **options,
):
    """A trainer whose model starts from weights drawn with `start`."""
    config = build_config(**options)
    torch.manual_seed(start)
    model = (kind or (HyenaGLTForRegression if values else HyenaGLTForSequenceClassification))(config)
    data = build_data(values=values) if data is None else data
    return HyenaGLTTrainer(model, config, data, validation, DNATokenizer(), folder, callbacks, curriculum)


class StopAt(TrainerCallback):
    """Press Ctrl-C when a step is done and before it is logged or saved."""

    def __init__(self, step: int):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


@pytest.fixture
def make_config():
    return build_config


@pytest.fixture
def make_data():
    return build_data


@pytest.fixture
def make_trainer():
    return build_trainer


@pytest.fixture
def interrupted_trainer():
    """Start a run, interrupt it at a step, and give a new trainer of other weights for the same folder."""

    def interrupt(folder, step, **options):
        with pytest.raises(KeyboardInterrupt):
            build_trainer(folder, callbacks=[StopAt(step)], **options).train()
        return build_trainer(folder, start=99, **options)

    return interrupt
