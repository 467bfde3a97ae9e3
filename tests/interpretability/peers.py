"""The same models and sequences, as tangermeme takes them."""

import torch
from torch import nn


class OneHot(nn.Module):
    """A model of one-hot (batch, 4, length) bases, by the embeddings of the letters."""

    def __init__(self, model, read=None):
        super().__init__()
        self.model, self.read = model, read

    def forward(self, bases):
        letters = self.model.get_input_embeddings().weight[7:11]
        logits = self.model(inputs_embeds=bases.transpose(1, 2).to(letters.dtype) @ letters).logits
        return logits if self.read is None else self.read(logits)[:, None]


def one_hot(*sequences):
    """(sequences, 4, length) one-hot bases."""
    numbers = torch.tensor([["ACGT".index(base) for base in sequence] for sequence in sequences])
    return nn.functional.one_hot(numbers, 4).transpose(1, 2).float()
