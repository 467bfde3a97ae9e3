"""Cross-validated accuracy on the splice junctions, beside simple baselines.

    python benchmarks/accuracy.py [--folds 5] [--epochs 15] [--by group|family] [--out benchmarks/accuracy.json]

Folds keep identical sequences (`--by group`) or all relatives (`--by family`) on one side. Every method sees the same
folds. Baselines: the majority class; logistic regression on counts of 3-, 4- and 5-mers, and on the bases by position.
"""

import argparse
import json
import time
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler

from genomic_lens.cli.splice_model import EPOCHS, LABELS, splice_config, splice_dataset, splice_trainer
from genomic_lens.data import one_hot
from genomic_lens.data.samples import splice_junctions


def flat_one_hot(sequences) -> np.ndarray:
    """Each base at each position as a column of its own."""
    return np.stack([one_hot(sequence).ravel() for sequence in sequences])


def kmer_regression(k: int):
    """Logistic regression on counts of k-mers, wherever they stand."""
    words = ["".join(letters) for letters in product("ACGT", repeat=k)]
    counts = CountVectorizer(analyzer="char", ngram_range=(k, k), lowercase=False, vocabulary=words)
    return make_pipeline(counts, MaxAbsScaler(), LogisticRegression(max_iter=2000))


def baselines() -> dict[str, object]:
    """Untrained baselines by name."""
    positional = make_pipeline(FunctionTransformer(flat_one_hot), LogisticRegression(C=0.03, max_iter=2000))
    return {
        "majority class": DummyClassifier(),
        **{f"{k}-mer counts, logistic regression": kmer_regression(k) for k in (3, 4, 5)},
        "bases by position, logistic regression": positional,
    }


def hyena_accuracy(train: pd.DataFrame, test: pd.DataFrame, epochs: int, fold: int) -> float:
    """Train the demo's model on one fold and score it on the other side."""
    trainer = splice_trainer(splice_config(seed=fold, epochs=epochs), train)
    trainer.train()
    predicted = trainer.predict(splice_dataset(test)).argmax(1)
    return float(np.mean([LABELS[index] for index in predicted] == test.label.to_numpy()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--by", choices=["group", "family"], default="group")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    table = splice_junctions()
    splitter = StratifiedGroupKFold(options.folds, shuffle=True, random_state=0)
    accuracies: dict[str, list[float]] = {}
    start = time.perf_counter()
    for fold, (inside, outside) in enumerate(splitter.split(table, table.label, table[options.by])):
        train, test = table.iloc[inside], table.iloc[outside]
        for name, model in baselines().items():
            score = model.fit(train.sequence, train.label).score(test.sequence, test.label)
            accuracies.setdefault(name, []).append(float(score))
        accuracies.setdefault("Hyena", []).append(hyena_accuracy(train, test, options.epochs, fold))
        print(f"fold {fold}: Hyena {accuracies['Hyena'][-1]:.4f}", flush=True)
    result = pd.DataFrame(accuracies).T
    result = pd.DataFrame({"mean": result.mean(axis=1), "lowest": result.min(axis=1), "highest": result.max(axis=1)})
    seconds = time.perf_counter() - start
    print(f"\nAccuracy over {options.folds} folds by {options.by}, {len(table)} sequences, {seconds:.0f} s\n")
    print(result.round(4).to_string())
    if options.out:
        options.out.write_text(json.dumps({"by": options.by, "folds": accuracies}, indent=1) + "\n")


if __name__ == "__main__":
    main()
