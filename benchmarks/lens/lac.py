"""The lac promoter: do attributions of a trained model agree with a footprint that was measured?

    python benchmarks/interpretability.py --parts lac

One Hyena layer learns from the train split. Its contributions are taken on the test split, against the wild type, and
their spread over variants is held against the information footprint of that split, which no model took part in.
"""

import time

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from transformers import set_seed

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data import DNATokenizer, GenomicDataset, one_hot, sample_card
from genomic_lens.data.samples import lac_promoter
from genomic_lens.interpretability import attribute
from genomic_lens.interpretability.attribution.rules import exact_rules
from genomic_lens.metrics import information_footprint, most_frequent, pearson
from genomic_lens.model import HyenaGLTForRegression
from genomic_lens.training import HyenaGLTTrainer

SEEDS = (0, 1, 2)
VARIANTS = 2000  # of the test split
FEWER = 200  # for baselines that need many references
MIDDLE = 4.5  # of the bins 0 to 9


def table(split: str, rows: int | None = None):
    """A split, or some of its rows: the table is sorted by sequence, so its first rows resemble each other."""
    whole = lac_promoter(split)
    return whole if rows is None else whole.sample(min(rows, len(whole)), random_state=0)


def footprint(variants, wild_type: str | None = None) -> np.ndarray:
    """The measured one, in bits."""
    return information_footprint(variants.sequence, variants.filter(like="bin_").to_numpy(), wild_type)


def known_sites() -> np.ndarray:
    """True at the 28 bases of the three sites."""
    known = np.zeros(75, dtype=bool)
    for site in sample_card("lac_promoter").sites:
        known[site.start : site.stop] = True
    return known


def train(seed: int, variants) -> tuple[HyenaGLTForRegression, float]:
    """A trained model and the CPU seconds that it took."""
    tokenizer = DNATokenizer()
    config = HyenaGLTConfig(
        vocab_size=len(tokenizer), d_model=32, n_layers=1, layout="mr", medium_taps=75, sequence_length=75,
        pooling="last", id2label={0: "brightness"}, initializer_range=0.1, dropout=0.0, learning_rate=5e-3,
        filter_learning_rate=3e-2, max_grad_norm=10.0, batch_size=64, num_epochs=1, warmup_fraction=0.1, seed=seed,
    )  # fmt: skip
    set_seed(seed)
    dataset = GenomicDataset(variants.sequence, variants.mean_bin.to_numpy() - MIDDLE, tokenizer)
    trainer = HyenaGLTTrainer(HyenaGLTForRegression(config), config, dataset, tokenizer=tokenizer)
    start = time.process_time()
    trainer.train()
    return trainer.model.eval(), time.process_time() - start


def predicted(model, sequences, batch_size: int = 256) -> np.ndarray:
    """Mean bin of each variant, less the middle."""
    ids = torch.from_numpy(np.stack([DNATokenizer().encode(sequence) for sequence in sequences]))
    with torch.no_grad():
        return torch.cat([model(part).logits[:, 0] for part in ids.split(batch_size)]).numpy()


def against_wild_type(model, sequences, wild_type: str, batch_size: int = 128) -> tuple[np.ndarray, float]:
    """Exact contributions (variants, bases) and their largest completeness gap."""
    tokenizer, embeddings = DNATokenizer(), model.get_input_embeddings().weight.detach()
    ids = torch.from_numpy(np.stack([tokenizer.encode(sequence) for sequence in sequences]))
    reference, parts, gaps = embeddings[torch.from_numpy(tokenizer.encode(wild_type))], [], []
    with exact_rules(model):
        for part in ids.split(batch_size):
            actual = embeddings[part].requires_grad_()
            pair = torch.cat([actual, reference.expand_as(actual)])
            first, second = model(inputs_embeds=pair).logits[:, 0].chunk(2)
            (multipliers,) = torch.autograd.grad(first.sum(), actual)
            values = (multipliers * (actual - reference)).sum(-1).detach().double()
            rise = (first - second).detach().double()
            scale = torch.maximum(rise.abs(), values.abs().sum(1)).clamp_min(1e-3)
            gaps.append(((values.sum(1) - rise).abs() / scale).max())
            parts.append(values)
    return torch.cat(parts).numpy(), float(max(gaps))


def agreement(spread: np.ndarray, measured: np.ndarray) -> tuple[float, float]:
    """Rank correlation with the measured footprint, and AUROC of the bases of the known sites."""
    return float(spearmanr(spread, measured).statistic), float(roc_auc_score(known_sites(), spread))


def linear(variants, sequences) -> np.ndarray:
    """The spread that a linear regression on letters would show: what needs no network."""
    features = np.stack([one_hot(sequence).ravel() for sequence in variants.sequence])
    weights = Ridge(alpha=1.0).fit(features, variants.mean_bin).coef_.reshape(75, -1)
    return np.std([(one_hot(sequence) * weights).sum(1) for sequence in sequences], axis=0)


def row(what: str, value: float, target: str = "", note: str = "", unit: str = "") -> dict:
    """A row of the benchmark."""
    return {"what": what, "value": value, "unit": unit, "target": target, "note": note}


def by_seed(what: str, values: list[float], worst=min, target: str = "", unit: str = "") -> dict:
    """The worst value, with all of them in the note."""
    each = ", ".join(f"{value:.3g}" for value in values)
    return row(what, float(worst(values)), target, f"{len(values)} seeds: {each}", unit)


def measure(quick: bool = False) -> list[dict]:
    """Rows of the benchmark; the worst of the seeds stands in each."""
    variants, test, seeds = table("train", 2000 if quick else None), table("test"), SEEDS[:1] if quick else SEEDS
    wild_type, measured = most_frequent(variants.sequence), footprint(test)
    chosen, own = list(table("test", VARIANTS).sequence), agreement(measured, measured)[1]
    found = [one_model(seed, variants, test, chosen, wild_type, measured) for seed in seeds]
    model, columns = found[-1][0], list(zip(*(numbers for _, numbers in found), strict=True))
    ceiling, simple = agreement(footprint(variants), measured), agreement(linear(variants, chosen), measured)
    whether = footprint(test, wild_type)
    other = [agreement(spread, whether)[0] for spread in (*columns[5], footprint(variants, wild_type))]
    rows = [
        by_seed("training, one layer of 32 channels", columns[0], max, unit="CPU-s"),
        by_seed("Pearson correlation of the prediction with the measured bin, test", columns[1]),
        by_seed("completeness gap of exact contributions against the wild type", columns[2], max, "< 1e-4"),
        by_seed("rank correlation of contributions with the measured footprint", columns[3], target=">= 0.8"),
        row("the same of the footprint of the train split (ceiling)", ceiling[0]),
        row("the same of a linear regression on letters", simple[0]),
        by_seed("contributions with the footprint of 'mutated or not'", other[:-1]),
        row("the same of that footprint of the train split (ceiling)", other[-1]),
        row("AUROC at the known sites, measured footprint", own),
        by_seed("AUROC at the known sites, contributions", columns[4]),
        by_seed("how far it is below the measured one", [own - value for value in columns[4]], max, "<= 0.03"),
    ]
    fewer = chosen[: 20 if quick else FEWER]
    for baseline in ("shuffled", "mean"):
        records = attribute(model, DNATokenizer(), fewer, 0, baseline=baseline, references=10)
        spread = np.std([record.values for record in records], axis=0)
        rows.append(row(f"rank correlation, baseline {records[0].baseline}", agreement(spread, measured)[0]))
    return rows


def one_model(seed: int, variants, test, chosen, wild_type: str, measured: np.ndarray) -> tuple:
    """A model, and its CPU seconds, correlation, gap, rank correlation, AUROC and spread."""
    model, seconds = train(seed, variants)
    values, gap = against_wild_type(model, chosen, wild_type)
    correlation = float(pearson(test.mean_bin.to_numpy(), predicted(model, test.sequence)))
    spread = values.std(0)
    return model, (seconds, correlation, gap, *agreement(spread, measured), spread)
