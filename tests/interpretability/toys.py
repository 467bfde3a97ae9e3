"""Models that read sequences and whose explanations are known: what is right must hold, what is broken must fail."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.interpretability.attribution.attributions import attribute

TOKENIZER = DNATokenizer()


class OneHot(nn.Embedding):
    """An embedding that is a code and no weights: token t has a 1 at t."""

    def __init__(self, tokens: int):
        super().__init__(tokens, tokens)
        del self.weight
        self.register_buffer("weight", torch.eye(tokens, dtype=torch.float64))


class Toy(nn.Module):
    """One-hot embeddings over the vocabulary, and a score to fill in; one output, named "value"."""

    def __init__(self):
        super().__init__()
        self.table = OneHot(12)
        self.config = SimpleNamespace(id2label={0: "value"}, num_labels=1, pad_token_id=4)

    def get_input_embeddings(self) -> nn.Module:
        return self.table

    def forward(self, input_ids=None, attention_mask=None, inputs_embeds=None, pooling_mask=None):
        embeddings = self.table(input_ids) if inputs_embeds is None else inputs_embeds
        return SimpleNamespace(logits=self.score(embeddings))


class Linear(Toy):
    """A weight for each position and letter: what a base contributes is its weight less that of the reference."""

    def __init__(self, length: int, seed: int = 0):
        super().__init__()
        torch.manual_seed(seed)
        self.head = nn.Linear(12 * length, 1).double()

    def score(self, embeddings):
        return self.head(embeddings.flatten(1))

    def weights(self) -> np.ndarray:
        """(length, letters) weights."""
        return self.head.weight.detach().view(-1, 12)[:, 7:11].numpy()


class Counter(Toy):
    """How often a motif stands in the sequence: one convolution and one ReLU, the same at every place."""

    def __init__(self, motif: str):
        super().__init__()
        self.match, self.bend = nn.Conv1d(12, 1, len(motif)).double(), nn.ReLU()
        with torch.no_grad():
            self.match.weight.zero_()
            for place, base in enumerate(motif):
                self.match.weight[0, 7 + "ACGT".index(base), place] = 1
            self.match.bias.fill_(1 - len(motif))

    def score(self, embeddings):
        return self.bend(self.match(embeddings.transpose(1, 2))).sum(-1)


class Deaf(Linear):
    """The linear model with weights that are there and are not listened to: what it uses is no parameter."""

    def __init__(self, length: int):
        super().__init__(length)
        self.register_buffer("used", self.head.weight.detach().clone())

    def score(self, embeddings):
        return nn.functional.linear(embeddings.flatten(1), self.used) + 0 * self.head(embeddings.flatten(1))


def draw(count: int, length: int, motif: str = "", seed: int = 0) -> list[str]:
    """Random sequences with a motif in the middle third, at a place of its own in each."""
    generator = np.random.default_rng(seed)
    sequences = []
    for _ in range(count):
        bases = "".join(generator.choice(list("ACGT"), length))
        start = int(generator.integers(length // 3, 2 * length // 3 - len(motif) + 1))
        sequences.append(bases[:start] + motif + bases[start + len(motif) :])
    return sequences


def by_chance(model, sequence, target):
    """Contributions that know nothing: drawn, the same for the same sequence whatever the model."""
    record = attribute(model, TOKENIZER, sequence, target, baseline="mean")[0]
    generator = np.random.default_rng([ord(base) for base in sequence])
    return replace(record, values=generator.normal(size=len(sequence)), gap=1.0)
