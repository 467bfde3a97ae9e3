"""Files in: sequences and labels, intervals and annotation, variants, signal; and windows that know where they end."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "annotation": ["read_bed", "read_genbank", "read_gff"],
        "examples": ["load_genomic_sequences", "load_labels", "read_examples"],
        "signal": ["read_bigwig"],
        "text_files": ["open_text"],
        "variants": ["read_vcf"],
        "windows": ["PaddedWindow", "padded_window"],
    },
)
