"""Sections of prose, figures and tables in; one self-contained HTML page out."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "page": ["Figure", "Part", "Prose", "Section", "Table", "render_page", "write_page"],
        "lens": ["Annotation", "Lens", "LensView"],
        "verdicts": ["Verdicts"],
    },
)
