"""One-reference exact attributions beside Captum's integrated gradients: CPU time, sums, and Shapley values.

    python benchmarks/interpretability.py --parts attributions

One model, one question, the same reference for all: a causal Hyena of two blocks and 64 channels with weights large
enough to bend, and a dinucleotide shuffle of each sequence. Times are CPU times of the process; methods take turns.
"""

import copy
import time
import warnings
from statistics import median

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.interpretability.attribution.attributions import contributions
from genomic_lens.interpretability.attribution.gradients import Multipliers, exact_multipliers
from genomic_lens.interpretability.attribution.questions import Question, ask
from genomic_lens.model import HyenaGLTForSequenceClassification
from genomic_lens.records import completeness_gap


def build(length: int) -> nn.Module:
    """The model that all methods explain."""
    torch.manual_seed(0)
    shape = {"vocab_size": 12, "d_model": 64, "n_layers": 2, "sequence_length": length, "num_classes": 2}
    return HyenaGLTForSequenceClassification(HyenaGLTConfig(**shape, initializer_range=0.2)).eval()


def questions(model: nn.Module, length: int, count: int, baseline: str = "shuffled") -> list[Question]:
    """The first class of random sequences, each against one reference."""
    generator, tokenizer = np.random.default_rng(0), DNATokenizer()
    sequences = ["".join(generator.choice(list("ACGT"), length)) for _ in range(count)]
    return [ask(model, tokenizer, tokenizer.encode(sequence), 0, baseline, 1, 0) for sequence in sequences]


def seconds(function) -> tuple[float, Multipliers]:
    """CPU time of a call, and what it returns."""
    start = time.process_time()
    found = function()
    return time.process_time() - start, found


def captum_gradients(question: Question, steps: int) -> Multipliers:
    """Captum alone, without anything of ours around it but the model."""
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(question.output, multiply_by_inputs=False)
    values = method.attribute(
        question.inputs[None], baselines=question.references, n_steps=steps, internal_batch_size=16
    )
    return Multipliers(values.detach(), *both_outputs(question))


@torch.no_grad()
def both_outputs(question: Question) -> tuple[torch.Tensor, torch.Tensor]:
    """f(x) and f(x0)."""
    return question.output(question.inputs[None]), question.output(question.references)


# --- peers that are wrong, and say so or not --------------------------------------------------------------------------


class OneHot(nn.Module):
    """The model of (batch, 4, length) one-hot bases, as tangermeme wants it; one output."""

    def __init__(self, model: nn.Module, question: Question):
        super().__init__()
        self.model, self.letters, self.read = model, question.letters, question.output

    def forward(self, bases: torch.Tensor) -> torch.Tensor:
        return self.read(bases.transpose(1, 2) @ self.letters)[:, None]


class Embedded(OneHot):
    """The model of embeddings, as Captum's DeepLift wants it."""

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        return self.read(embeddings)


def with_plain_norms(model: nn.Module) -> nn.Module:
    """The same model with norms of the very class that tangermeme looks for."""
    model = copy.deepcopy(model)
    for part in list(model.modules()):
        for name, norm in part.named_children():
            if isinstance(norm, nn.LayerNorm):
                plain = nn.LayerNorm(norm.normalized_shape, norm.eps)
                plain.load_state_dict({key: value for key, value in norm.state_dict().items() if "." not in key})
                setattr(part, name, plain)
    return model


def one_hot(ids: torch.Tensor) -> torch.Tensor:
    """(batch, 4, length) of (batch, length) token ids."""
    return nn.functional.one_hot(ids - 7, 4).transpose(1, 2).float()


def captum_deeplift_gap(model: nn.Module, question: Question) -> float:
    """Completeness gap of Captum's DeepLift, which knows no products and no GELU."""
    from captum.attr import DeepLift

    values = DeepLift(Embedded(model, question)).attribute(
        question.inputs[None].clone().requires_grad_(), baselines=question.references
    )
    return completeness_gap(values.detach().numpy(), *map(float, both_outputs(question)))


def tangermeme_gap(model: nn.Module, question: Question) -> float:
    """Completeness gap of tangermeme's DeepLIFT/SHAP, which knows GELU and norms, and no bare products."""
    from tangermeme.deep_lift_shap import deep_lift_shap

    actual, references = one_hot(question.ids[None]), one_hot(question.reference_ids)[None]
    values = deep_lift_shap(OneHot(model, question), actual, references=references, device="cpu", only_warn=True)
    return completeness_gap(values.numpy(), *map(float, both_outputs(question)))


def peer_rows(model: nn.Module, length: int, count: int) -> list[dict]:
    """Gaps of the other implementations of DeepLIFT, or that they are not installed."""
    rows, model = [], with_plain_norms(model)
    asked = questions(model, length, count)
    for name, gap in (("captum DeepLift", captum_deeplift_gap), ("tangermeme deep_lift_shap", tangermeme_gap)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                value, note = median(gap(model, question) for question in asked), "one reference; products are not seen"
            except ImportError:
                value, note = "-", "not installed"
        rows.append(row(f"{name}: completeness gap", value, "", "", note))
    return rows


# --- Shapley values ---------------------------------------------------------------------------------------------------


@torch.no_grad()
def shapley(question: Question, permutations: int, seed: int) -> np.ndarray:
    """Shapley values of the bases by Monte Carlo: how much each adds on its turn, in orders drawn at random."""
    generator, length = np.random.default_rng(seed), len(question.inputs)
    total = np.zeros(length)
    for _ in range(permutations):
        order = generator.permutation(length)
        rank = torch.from_numpy(np.argsort(order))
        present = torch.arange(length + 1)[:, None] > rank  # row r: the first r bases of the order are in place
        outputs = question.output(torch.where(present[..., None], question.inputs, question.references))
        total[order] += outputs.diff().double().numpy()
    return total / permutations


def shapley_rows(length: int, count: int, permutations: int) -> list[dict]:
    """Correlation with Shapley values of short sequences, of ours and of integrated gradients that have converged."""
    model = build(length)
    found = {"exact, one reference": [], "captum IG, 300 steps": []}
    for rank, question in enumerate(tqdm(questions(model, length, count), desc="Shapley values", delay=2, leave=False)):
        truth = shapley(question, permutations, rank)
        for name, multipliers in zip(
            found, (exact_multipliers(model, question), captum_gradients(question, 300)), strict=True
        ):
            values = contributions(question, multipliers)[0][0]
            found[name].append(float(np.corrcoef(values, truth)[0, 1]))
    note = f"median of {count} sequences of {length} bases, {permutations} orders"
    return [
        row(f"{name}: correlation with Shapley values", median(values), "", "", note) for name, values in found.items()
    ]


# --- all of it --------------------------------------------------------------------------------------------------------


def measure(quick: bool = False) -> list[dict]:
    """Rows of what, value, unit, target and note."""
    length, count = (200, 2) if quick else (1000, 16)
    model = build(length)
    asked = questions(model, length, count)
    exact_multipliers(model, asked[0])
    captum_gradients(asked[0], 2)
    times, gaps = {"exact": [], "captum": []}, {"exact": [], "captum": []}
    for turn, question in enumerate(tqdm(asked, desc="exact and captum", delay=2, leave=False)):
        ways = {
            "exact": lambda: exact_multipliers(model, question),  # noqa: B023
            "captum": lambda: captum_gradients(question, 50),  # noqa: B023
        }
        for name in sorted(ways, reverse=bool(turn % 2)):
            spent, multipliers = seconds(ways[name])
            times[name].append(spent)
            gaps[name].append(contributions(question, multipliers)[2][0])
    ratios = [slow / fast for fast, slow in zip(times["exact"], times["captum"], strict=True)]
    note = f"{count} sequences of {length} bases, 2 Hyena blocks of 64 channels; median of paired ratios"
    return [
        row("CPU time of captum IG (50 steps) over exact (1 reference)", median(ratios), "×", ">= 8", note),
        row("exact, one reference: CPU time a sequence", median(times["exact"]), "s"),
        row("captum IG, 50 steps: CPU time a sequence", median(times["captum"]), "s"),
        row("exact, one reference: completeness gap", max(gaps["exact"]), "", "< 1e-4", "the largest"),
        row("captum IG, 50 steps: completeness gap", max(gaps["captum"]), "", "", "the largest"),
        row("exact is closer than captum IG, share of sequences", closer(gaps), "", "", "by completeness gap"),
        *zero_rows(model, length, 2 if quick else 4),
        *peer_rows(model, length, 2 if quick else 4),
        *shapley_rows(30 if quick else 60, 2 if quick else 8, 4 if quick else 100),
    ]


def zero_rows(model: nn.Module, length: int, count: int) -> list[dict]:
    """Gaps from the zero embedding, at which norms have no derivative and a straight way is hard to integrate."""
    ways = {"exact": exact_multipliers, "captum IG, 50 steps": lambda _, question: captum_gradients(question, 50)}
    asked = questions(model, length, count, "zero")
    gaps = {name: [contributions(each, way(model, each))[2][0] for each in asked] for name, way in ways.items()}
    what = "completeness gap from the zero embedding"
    return [row(f"{name}: {what}", max(values), "", "", "the largest") for name, values in gaps.items()]


def row(what: str, value: float, unit: str, target: str = "", note: str = "") -> dict:
    """One row."""
    return {"what": what, "value": value, "unit": unit, "target": target, "note": note}


def closer(gaps: dict[str, list[float]]) -> float:
    """The share of sequences in which the exact sum is closer."""
    pairs = zip(gaps["exact"], gaps["captum"], strict=True)
    return float(np.mean([ours < theirs for ours, theirs in pairs]))
