"""Experiments: one YAML file says what is trained on what, and how; one function gives the data."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "hyena_dna_keys": ["key_table"],
        "overrides": ["list_experiments", "load_experiment"],
        "registry": ["list_datasets", "register_dataset"],
        "run": ["plan_experiment", "run_experiment"],
        "settings": ["Experiment"],
    },
)
