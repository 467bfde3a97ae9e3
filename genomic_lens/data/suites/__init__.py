"""Public benchmarks in their published layouts, species from folders of genomes, chromatin profiles."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "benchmarks": ["list_suites", "load_task"],
        "chromatin": ["ChromatinProfileDataset"],
        "species": ["SpeciesDataset"],
    },
)
