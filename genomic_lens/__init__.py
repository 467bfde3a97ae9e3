"""A microscope for genomic language models: what they predict, where they look, which bases they use."""

__version__ = "0.1.0"

import lazy_loader

PACKAGES = [
    "cli", "curriculum", "dashboards", "data", "interpretability", "metrics", "model", "plots", "records", "report",
    "training",
]  # fmt: skip
MODULES = ["colab", "config", "errors"]

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=[*MODULES, *PACKAGES])
