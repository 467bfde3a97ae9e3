"""Models of ids whose answers can be worked out by hand."""

from types import SimpleNamespace

import torch
from torch import nn

LETTERS = "ACGT"


class Scorer(nn.Module):
    """Scores one-hot bases: the least that edits ask of a model. Columns are A, C, G, T; N and padding are zero."""

    def __init__(self, names=("score",)):
        super().__init__()
        self.table = nn.Embedding(12, 4)
        with torch.no_grad():
            self.table.weight.zero_()
            self.table.weight[7:11] = torch.eye(4)
        self.config = SimpleNamespace(id2label=dict(enumerate(names)), num_labels=len(names), pad_token_id=4)

    def get_input_embeddings(self) -> nn.Module:
        return self.table

    def forward(self, input_ids=None, attention_mask=None, inputs_embeds=None, pooling_mask=None):
        bases = self.table(input_ids) if inputs_embeds is None else inputs_embeds
        return SimpleNamespace(logits=self.score(bases))


class Linear(Scorer):
    """One weight a position and letter, and one output."""

    def __init__(self, weights):
        super().__init__()
        self.weights = nn.Parameter(torch.as_tensor(weights, dtype=torch.float32))

    def score(self, bases):
        count = min(bases.shape[1], len(self.weights))
        return (bases[:, :count] * self.weights[:count]).sum((1, 2))[:, None]


class Both(Scorer):
    """`worth` if each of some positions has its letter, and a little for each that has it."""

    def __init__(self, places: dict[int, str], worth: float = 1.0, each: float = 0.0):
        super().__init__()
        self.places, self.worth, self.each = places, worth, each

    def score(self, bases):
        found = torch.stack([bases[:, place, LETTERS.index(letter)] for place, letter in self.places.items()], dim=1)
        return (self.worth * found.prod(1) + self.each * found.sum(1))[:, None]


class Near(Scorer):
    """Counts two motifs, and adds `bonus` for each pair whose gap is at most `reach` bases."""

    def __init__(self, left: str, right: str, reach: int, bonus: float):
        super().__init__()
        self.left, self.right, self.reach, self.bonus = left, right, reach, bonus

    def places(self, bases, motif):
        """1 where the motif begins."""
        wanted = torch.zeros(len(motif), 4)
        wanted[range(len(motif)), [LETTERS.index(letter) for letter in motif]] = 1
        windows = bases.unfold(1, len(motif), 1).permute(0, 1, 3, 2)
        return ((windows * wanted).sum((2, 3)) == len(motif)).float()

    def score(self, bases):
        left, right = self.places(bases, self.left), self.places(bases, self.right)
        total = left.sum(1) + right.sum(1)
        for gap in range(self.reach + 1):
            lag = len(self.left) + gap
            total = total + self.bonus * (left[:, : right.shape[1] - lag] * right[:, lag:][:, : left.shape[1]]).sum(1)
        return total[:, None]
