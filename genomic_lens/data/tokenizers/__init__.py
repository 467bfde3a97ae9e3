"""Sequences to numbers and back: letters, words of k letters, learnt words, bytes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "base": ["SPECIAL_TOKENS", "SequenceTokenizer", "pad_ids"],
        "bpe": ["BPETokenizer"],
        "byte_level": ["ByteTokenizer"],
        "hugging_face": ["HFDNATokenizer", "HFProteinTokenizer", "HFRNATokenizer"],
        "kmers": ["KmerTokenizer"],
        "letters": ["DNATokenizer", "ProteinTokenizer", "RNATokenizer"],
    },
)
