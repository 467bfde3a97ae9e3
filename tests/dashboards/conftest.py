"""A small model with large weights, so that every change of the input shows in every number."""

import numpy as np
import pytest
import torch

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.model.hyena_glt import HyenaGLTForRegression, HyenaGLTForSequenceClassification

SEQUENCE = "".join(np.random.default_rng(0).choice(list("ACGT"), 40))


@pytest.fixture
def tokenizer():
    return DNATokenizer()


@pytest.fixture
def build(tokenizer):
    def make(kind=HyenaGLTForSequenceClassification, **changes):
        torch.manual_seed(0)
        labels = dict(enumerate(["donor", "acceptor", "neither"]))
        shape = {"d_model": 8, "n_layers": 2, "sequence_length": 64, "initializer_range": 0.3, "id2label": labels}
        return kind(HyenaGLTConfig(vocab_size=len(tokenizer), **{**shape, **changes})).eval()

    return make


@pytest.fixture
def model(build):
    return build()


@pytest.fixture
def regression(build):
    return build(HyenaGLTForRegression, id2label={0: "score"})
