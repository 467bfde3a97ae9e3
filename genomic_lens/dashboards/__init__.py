"""Linked, interactive views for notebooks: viewers for maps and sequences, and the dashboard built from them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "attention_explorer": ["AttentionExplorer"],
        "attribution_explorer": ["AttributionExplorer"],
        "chunk_explorer": ["ChunkExplorer"],
        "lens_dashboard": ["LensDashboard"],
        "motif_explorer": ["MotifExplorer"],
        "session": ["LensSession"],
        "tiles": ["Tiles"],
        "track": ["Track"],
        "training_monitor": ["TrainingMonitor"],
    },
)
