"""Arrays in, scores with intervals out."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "baselines": ["MarkovModel", "shortcut_regression", "word_counts", "word_regression"],
        "classification": ["accuracy", "auroc", "classification_scores", "macro_f1", "mcc"],
        "footprints": ["information_footprint", "most_frequent", "mutual_information"],
        "intervals": ["bootstrap_interval", "bootstrap_scores"],
        "regression": ["mae", "mse", "pearson", "r2", "regression_scores", "spearman"],
    },
)
