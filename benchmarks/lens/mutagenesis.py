"""Saturation mutagenesis beside tangermeme's: the same model, the same sequence, in turns.

    python benchmarks/interpretability.py --parts mutagenesis

All 3,000 substitutions of 1,000 bases on a causal Hyena of two blocks and 64 channels. A variant of ours goes through
from its first changed base on; of tangermeme's the whole, since its own fast way cannot capture the model (asked for,
it tries, says so and takes this one). Each pair of runs begins with the other one. Ratios are of pairs.
"""

import time
from statistics import median

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.interpretability import mutagenesis
from genomic_lens.model import HyenaGLTForSequenceClassification

LENGTH, PAIRS = 1000, 3
LETTERS = "ACGT"


class OneHot(nn.Module):
    """The model of (batch, 4, length) one-hot bases, as tangermeme wants it; the output that ours is asked for."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, bases: torch.Tensor) -> torch.Tensor:
        letters = self.model.get_input_embeddings().weight[DNATokenizer().letter_ids]
        logits = self.model(inputs_embeds=bases.transpose(1, 2) @ letters).logits
        return logits[:, :1] - logits.mean(1, keepdim=True)


def build(length: int) -> nn.Module:
    """The model that both are asked about, with weights large enough to bend."""
    torch.manual_seed(0)
    shape = {"vocab_size": 12, "d_model": 64, "n_layers": 2, "sequence_length": length, "num_classes": 2}
    return HyenaGLTForSequenceClassification(HyenaGLTConfig(**shape, initializer_range=0.2)).eval()


def draw(length: int, seed: int) -> tuple[str, torch.Tensor]:
    """A random sequence, as letters and as (1, 4, length) one-hot bases."""
    numbers = np.random.default_rng(seed).integers(4, size=length)
    bases = nn.functional.one_hot(torch.from_numpy(numbers)[None], 4).transpose(1, 2).float()
    return "".join(LETTERS[number] for number in numbers), bases


def ours(model: nn.Module, sequence: str) -> np.ndarray:
    """Change of the output by each substitution, (bases, letters)."""
    return mutagenesis(model, DNATokenizer(), sequence, 0, ("substitutions",)).substitutions


def theirs(model: nn.Module, bases: torch.Tensor) -> np.ndarray:
    """The same by tangermeme, with its own batch size."""
    from tangermeme.saturation_mutagenesis import saturation_mutagenesis

    before, after = saturation_mutagenesis(OneHot(model), bases, raw_outputs=True, fast=False, device="cpu")
    return (after - before[:, None, None])[0, ..., 0].T.numpy()


def timed(function, *arguments) -> tuple[np.ndarray, float, float]:
    """What a call returns, its CPU seconds and its wall seconds."""
    work, wall = time.process_time(), time.perf_counter()
    found = function(*arguments)
    return found, time.process_time() - work, time.perf_counter() - wall


def in_turns(model: nn.Module, length: int, pairs: int) -> tuple[dict[str, list[tuple]], list[float]]:
    """CPU and wall seconds of each run, and the largest difference of each pair."""
    times, apart = {"ours": [], "tangermeme": []}, []
    for turn in tqdm(range(pairs), desc="ours and tangermeme", delay=2, leave=False):
        sequence, bases = draw(length, turn)
        ways, found = {"ours": (ours, sequence), "tangermeme": (theirs, bases)}, {}
        for name in sorted(ways, reverse=bool(turn % 2)):
            function, given = ways[name]
            found[name], *spent = timed(function, model, given)
            times[name].append(tuple(spent))
        apart.append(float(np.abs(found["ours"] - found["tangermeme"]).max()))
    return times, apart


def row(what: str, value: float | str, unit: str = "", target: str = "", note: str = "") -> dict:
    """One row."""
    return {"what": what, "value": value, "unit": unit, "target": target, "note": note}


def measure(quick: bool = False) -> list[dict]:
    """Rows of what, value, unit, target and note."""
    length, pairs = (100, 2) if quick else (LENGTH, PAIRS)
    model = build(length)
    sequence, bases = draw(length, pairs)
    ours(model, sequence[:50])
    try:
        theirs(model, bases[..., :50])
    except ImportError:
        return [row("CPU time of tangermeme over ours", "-", note="tangermeme is not installed")]
    times, apart = in_turns(model, length, pairs)
    ratios = [[slow / fast for fast, slow in zip(*pair, strict=True)] for pair in zip(*times.values(), strict=True)]
    cpu, wall = (median(part) for part in zip(*ratios, strict=True))
    size = float(np.abs(ours(model, sequence)).max())
    note = f"median of {pairs} pairs, {length:,} bases, {3 * length:,} variants, 2 Hyena blocks of 64 channels"
    return [
        row("CPU time of tangermeme's saturation_mutagenesis over ours", cpu, "×", ">= 3", note),
        row("wall time of the same", wall, "×", "", f"lowest {min(pair[1] for pair in ratios):.3g}"),
        *(row(f"{name}: CPU time a sequence", median(part[0] for part in spent), "s") for name, spent in times.items()),
        row("largest difference between the two", max(apart), "", "<= 1e-5", f"the largest change is {size:.2g}"),
    ]
