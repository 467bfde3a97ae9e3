"""A record or arrays in, a figure out: `plot_…` for the screen (plotly), `draw_…` for paper (matplotlib)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "attention": ["draw_hidden_attention", "plot_hidden_attention"],
        "attribution": ["draw_attribution", "plot_attribution"],
        "chunks": ["draw_chunks", "plot_chunk_statistics", "plot_chunks"],
        "filters": ["draw_filters", "plot_filters"],
        "glyphs": ["draw_letters", "glyph_outline", "letter_row", "letter_stacks", "plot_letters"],
        "modes": ["draw_modes", "plot_modes"],
        "motifs": ["draw_motif", "plot_motif"],
        "scores": ["draw_scores", "plot_scores"],
        "style": ["base_colour", "format_base", "set_base_colours", "set_theme"],
        "training": ["draw_training", "plot_training"],
        "words": ["describe"],
    },
)
