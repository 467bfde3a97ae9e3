"""Before training: what leaks between splits, how to split, how to batch, how to vary."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "augmentation": ["AugmentedDataset"],
        "buckets": ["TokenBudgetSampler", "padding_waste", "token_lengths"],
        "leakage": ["LeakageAudit", "audit_leakage"],
        "splits": ["split_by_group"],
    },
)
