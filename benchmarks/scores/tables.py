"""Sequences of two classes: mouse transcription factors and promoters of GUE, and ChIP peaks of CTCF against PU.1.

Splits are those of GUE; of the ChIP peaks chromosomes 8, 9 and 21 are the test part, and the twelve intervals in both
files are left out. Settings of mouse_4 and prom_300_tata were picked on their validation rows. Models read a sequence
on both strands and say the mean, but for promoters, which have a strand and are aligned at the start of transcription:
their model learns what each position counts. Negatives have their TATA boxes at fewer places than promoters, so a score
says little of promoters: logistic regression on bases by position, without a network, lies among published models.
"""

import gzip
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scores.positions import position_regression
from sklearn.metrics import matthews_corrcoef, roc_auc_score
from transformers import set_seed

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data import DNATokenizer, GenomicDataset
from genomic_lens.data.alphabets import reverse_complement
from genomic_lens.data.preparation import AugmentedDataset
from genomic_lens.metrics import shortcut_regression, word_regression
from genomic_lens.model import HyenaGLTForSequenceClassification
from genomic_lens.training import HyenaGLTTrainer

HELD_OUT = ("chr8:", "chr9:", "chr21:")
SHAPE = {"d_model": 64, "n_layers": 2, "two_sided": True, "pooling": "mean", "kmer_sizes": (3, 5)}
LEARNING = {"learning_rate": 2e-3, "warmup_fraction": 0.1, "dropout": 0.3, "batch_size": 32}
CHANGES = {
    "mouse_2": {"num_epochs": 6},
    "mouse_4": {"num_epochs": 6, "learning_rate": 1e-3, "dropout": 0.2, "batch_size": 64},
    "prom_300_tata": {"num_epochs": 5, "pooling": "position"},
    "ctcf_pu1": {"num_epochs": 1},
}


def gue(task: str, data: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and test rows of a task of GUE."""
    train, test = (pd.read_csv(data / "gue" / f"{task}_{split}.csv.gz") for split in ("train", "test"))
    return train, test


def peaks(data: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Peaks of CTCF (0) and PU.1 (1), apart by chromosome."""
    parts = []
    for label, name in enumerate(("ctcf", "pu1")):
        with gzip.open(data / "tf_binding" / f"{name}.fa.gz", "rt") as file:
            entries = [entry.split("\n", 1) for entry in file.read().split(">")[1:]]
        rows = [(place.strip(), "".join(text.split()).upper(), label) for place, text in entries]
        parts.append(pd.DataFrame(rows, columns=["place", "sequence", "label"]))
    table = pd.concat(parts).drop_duplicates("place", keep=False)
    held = table.place.str.startswith(HELD_OUT)
    return table[~held], table[held]


def hyena(train: pd.DataFrame, test: pd.DataFrame, task: str, seed: int) -> np.ndarray:
    """Probabilities of class 1."""
    tokenizer, either = DNATokenizer(), task != "prom_300_tata"
    longest = int(max(train.sequence.str.len().max(), test.sequence.str.len().max()))
    config = HyenaGLTConfig(
        vocab_size=len(tokenizer), sequence_length=longest, num_labels=2, initializer_range=0.1, filter_shift=1.0,
        seed=seed, logging_steps=10**6, **{**SHAPE, **LEARNING, **CHANGES[task]},
    )  # fmt: skip
    set_seed(seed)
    examples = GenomicDataset(train.sequence.tolist(), train.label.tolist(), tokenizer)
    examples = AugmentedDataset(examples, reverse_complement=0.5, seed=seed) if either else examples
    trainer = HyenaGLTTrainer(HyenaGLTForSequenceClassification(config), config, examples, None, tokenizer)
    trainer.train()
    strands = [test.sequence.tolist()]
    if either:
        strands.append(list(map(reverse_complement, strands[0])))
    logits = [trainer.predict(GenomicDataset(texts, None, tokenizer)) for texts in strands]
    return np.mean([1 / (1 + np.exp(answer[:, 0] - answer[:, 1])) for answer in logits], axis=0)


def counted(model, train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Probabilities of class 1, of a baseline."""
    return model.fit(train.sequence.tolist(), train.label).predict_proba(test.sequence.tolist())[:, 1]


def scored(task: str, method: str, seed: int, truth: np.ndarray, answers) -> dict:
    """A row: scores on the test part, and the CPU seconds that it took to get there."""
    start = time.process_time()
    chances = answers()
    spent = time.process_time() - start
    return {
        "task": task, "method": method, "seed": seed, "mcc": float(matthews_corrcoef(truth, chances > 0.5)),
        "auroc": float(roc_auc_score(truth, chances)), "cpu_seconds": spent,
    }  # fmt: skip


def measure(task: str, seeds: int, data: Path) -> list[dict]:
    """A row for each baseline, and for each seed of the model."""
    train, test = peaks(data) if task == "ctcf_pu1" else gue(task, data)
    truth = test.label.to_numpy()
    simple = {"length and shares of letters": shortcut_regression()}
    simple |= {f"words of {k}": word_regression(k) for k in (3, 5, 6)}
    if pd.concat([train, test]).sequence.str.len().nunique() == 1:
        simple["bases by position"] = position_regression()
    rows = [scored(task, name, 0, truth, lambda model=model: counted(model, train, test))
            for name, model in simple.items()]  # fmt: skip
    return rows + [scored(task, "Hyena", seed, truth, lambda seed=seed: hyena(train, test, task, seed))
                   for seed in range(seeds)]  # fmt: skip
