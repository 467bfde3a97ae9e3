"""Small models whose answers can be worked out by hand, and strongly bent ones whose answers cannot."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.model import HyenaGLTForSequenceClassification
from genomic_lens.model.layers.gates import Product

NAMES = {0: "donor", 1: "acceptor", 2: "neither"}


def build_model(kind=HyenaGLTForSequenceClassification, seed=0, dtype=torch.float32, **options):
    """A random model with weights large enough that gates, norms and activations all bend."""
    shape = {"vocab_size": 12, "d_model": 8, "n_layers": 2, "sequence_length": 40, "filter_order": 8}
    torch.manual_seed(seed)
    return kind(HyenaGLTConfig(**shape | {"id2label": NAMES, "initializer_range": 0.3} | options)).to(dtype)


class ByHand(nn.Module):
    """A model of one-hot bases: the least that predictions and attributions ask of a model, and a score to fill in.

    Embeddings are one-hot over the vocabulary, so that the embedding of token t has a 1 at t.
    """

    def __init__(self, names: dict[int, str]):
        super().__init__()
        self.table = nn.Embedding.from_pretrained(torch.eye(12))
        self.config = SimpleNamespace(id2label=names, num_labels=len(names), pad_token_id=4)

    def get_input_embeddings(self) -> nn.Module:
        return self.table

    def forward(self, inputs_embeds: torch.Tensor, pooling_mask: torch.Tensor):
        return SimpleNamespace(logits=self.score(inputs_embeds))


class LinearModel(ByHand):
    """One weight for each class, position and letter."""

    def __init__(self, length: int):
        super().__init__(NAMES)
        torch.manual_seed(1)
        self.weights = nn.Linear(length * 12, 3)

    def score(self, embeddings: torch.Tensor) -> torch.Tensor:
        return self.weights(embeddings.flatten(1))


class AndModel(ByHand):
    """1 if base 2 is G and base 3 is T, otherwise 0: one product."""

    def __init__(self):
        super().__init__({0: "both"})
        self.gate = Product()

    def score(self, embeddings: torch.Tensor) -> torch.Tensor:
        return self.gate(embeddings[:, 2, 9], embeddings[:, 3, 10])[:, None]


class Detector(ByHand):
    """How often a motif stands in the sequence: one convolution over one-hot bases and one ReLU."""

    def __init__(self, motif: str):
        super().__init__({0: "found"})
        self.match, self.bend = nn.Conv1d(12, 1, len(motif)), nn.ReLU()
        with torch.no_grad():
            self.match.weight.zero_()
            for place, base in enumerate(motif):
                self.match.weight[0, 7 + "ACGT".index(base), place] = 1
            self.match.bias.fill_(1 - len(motif))

    def score(self, embeddings: torch.Tensor) -> torch.Tensor:
        return self.bend(self.match(embeddings.transpose(1, 2))).sum(-1)


@pytest.fixture
def make_model():
    return build_model


@pytest.fixture
def linear_model():
    return LinearModel


@pytest.fixture
def and_model():
    return AndModel()


@pytest.fixture
def detector():
    return Detector("GATTA")


@pytest.fixture
def tokenizer():
    return DNATokenizer()
