"""Examples of every kind: sequences with labels, proteins, annotation a base, variants, windows of genomes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "annotation": ["BaseLabelDataset", "GenomeAnnotationDataset", "annotated_windows"],
        "examples": ["GenomicDataset", "PaddingCollator", "encode_labels"],
        "pretraining": ["PretrainingDataset"],
        "proteins": ["ProteinFunctionDataset"],
        "variants": ["VariantEffectDataset"],
    },
)
