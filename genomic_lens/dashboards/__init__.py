"""Linked, interactive views for notebooks: viewers for maps and sequences, and the dashboard built from them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "chunk_explorer": ["ChunkExplorer"],
        "lens_dashboard": ["LensDashboard"],
        "session": ["LensSession"],
        "tiles": ["Tiles"],
        "track": ["Track"],
    },
)
