"""What a model predicts, where it looks, which bases it uses, which motifs it has learnt, and how far to trust that."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "attributions": ["attribute"],
        "chunks": ["boundary_profile", "chunk_map", "chunk_statistics"],
        "filters": ["filter_bank"],
        "hidden_attention": ["hidden_attention"],
        "interpreter": ["ModelInterpreter"],
        "modes": ["filter_modes"],
        "motifs": ["aligned_motif", "consensus"],
        "predictions": ["predict"],
        "references": ["dinucleotide_shuffle"],
        "rules": ["exact_rules"],
        "substitutions": ["substitutions"],
        "tiles": ["HiddenAttentionTiles"],
    },
)
