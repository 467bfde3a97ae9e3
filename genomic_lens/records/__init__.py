"""What an analysis returns: arrays, how they were made, and how far they can be trusted."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "attention": ["FilterBank", "HiddenAttention", "ModeBank"],
        "attributions": ["Attribution", "completeness_gap"],
        "chunks": ["ChunkMap"],
        "motifs": ["Motif"],
        "predictions": ["Prediction", "Score", "Substitutions"],
        "store": ["Record", "atomic_write"],
    },
)
