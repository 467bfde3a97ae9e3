"""Splice junctions: accuracy of the demo's model on held-out families, in five folds.

Folds keep all relatives, sequences that share twenty bases, on one side; every method sees the same folds.
"""

import time
from pathlib import Path

import numpy as np
import pandas as pd
from scores.positions import position_regression
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import StratifiedGroupKFold

from genomic_lens.cli.splice_model import LABELS, splice_config, splice_dataset, splice_trainer
from genomic_lens.data.samples import splice_junctions
from genomic_lens.metrics import shortcut_regression, word_regression

FOLDS = 5


def baselines() -> dict[str, object]:
    """What needs no network, by name."""
    return {
        "majority class": DummyClassifier(),
        "length and shares of letters": shortcut_regression(),
        **{f"words of {k}": word_regression(k) for k in (3, 5)},
        "bases by position": position_regression(),
    }


def predicted(train: pd.DataFrame, test: pd.DataFrame, fold: int) -> np.ndarray:
    """What the demo's model, trained on one side, says of the other."""
    trainer = splice_trainer(splice_config(seed=fold), train)
    trainer.train()
    return np.array(LABELS)[trainer.predict(splice_dataset(test)).argmax(1)]


def measure(task: str, seeds: int, data: Path) -> list[dict]:
    """A row for each method and fold."""
    table, rows = splice_junctions(), []
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for fold, (inside, outside) in enumerate(splitter.split(table, table.label, table.family)):
        train, test = table.iloc[inside], table.iloc[outside]
        methods = {
            name: lambda model=model, train=train, test=test: model.fit(train.sequence.tolist(), train.label).predict(
                test.sequence.tolist()
            )
            for name, model in baselines().items()
        }
        methods["Hyena"] = lambda train=train, test=test, fold=fold: predicted(train, test, fold)
        for name, answers in methods.items():
            start = time.process_time()
            accuracy = float(np.mean(answers() == test.label.to_numpy()))
            spent = time.process_time() - start
            rows.append({"task": task, "method": name, "seed": fold, "accuracy": accuracy, "cpu_seconds": spent})
    return rows
