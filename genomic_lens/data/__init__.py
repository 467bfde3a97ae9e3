"""Sequences in: alphabets, tokenizers, datasets, and the embedded samples."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["samples"],
    submod_attrs={
        "alphabets": ["one_hot", "reverse_complement"],
        "datasets": ["GenomicDataset", "PaddingCollator"],
        "hf_tokenizer": ["HFDNATokenizer"],
        "offsets": ["tokens_to_bases"],
        "samples": ["sample_card", "sample_cards"],
        "tokenizers": ["DNATokenizer"],
    },
)
