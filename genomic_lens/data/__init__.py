"""Sequences in: alphabets, tokenizers, datasets, and the embedded samples."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["samples"],
    submod_attrs={
        "alphabets": ["one_hot", "reverse_complement"],
        "cards": ["sample_card", "sample_cards"],
        "datasets": [
            "GenomeAnnotationDataset",
            "GenomicDataset",
            "PaddingCollator",
            "PretrainingDataset",
            "ProteinFunctionDataset",
            "VariantEffectDataset",
        ],
        "fasta": ["open_fasta"],
        "genome": ["Genome"],
        "meme": ["read_meme", "write_meme"],
        "offsets": ["tokens_to_bases"],
        "planted": ["planted_motifs"],
        "preparation": ["AugmentedDataset", "TokenBudgetSampler", "audit_leakage", "split_by_group"],
        "readers": [
            "load_genomic_sequences",
            "load_labels",
            "read_bed",
            "read_bigwig",
            "read_examples",
            "read_genbank",
            "read_gff",
            "read_vcf",
        ],
        "suites": ["ChromatinProfileDataset", "SpeciesDataset", "list_suites", "load_task"],
        "tokenizers": [
            "BPETokenizer",
            "ByteTokenizer",
            "DNATokenizer",
            "HFDNATokenizer",
            "KmerTokenizer",
            "ProteinTokenizer",
            "RNATokenizer",
        ],
    },
)
