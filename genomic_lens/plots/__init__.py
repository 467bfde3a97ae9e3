"""A record or arrays in, a figure out: `plot_…` for the screen (plotly), `draw_…` for paper (matplotlib)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "attention": ["draw_hidden_attention", "plot_hidden_attention"],
        "attention_summary": ["draw_attention_summary", "plot_attention_summary"],
        "attribution": ["draw_attribution", "draw_attributions", "plot_attribution", "plot_attributions"],
        "chunk_drawing": ["draw_chunks"],
        "chunk_statistics": ["draw_chunk_statistics", "plot_chunk_statistics"],
        "chunks": ["plot_chunks"],
        "combined": ["draw_combined"],
        "dependencies": ["draw_dependencies", "plot_dependencies"],
        "filters": ["draw_filters", "plot_filters"],
        "forest": ["draw_feature_enrichment", "plot_feature_enrichment"],
        "glyphs": ["draw_letters", "glyph_outline", "letter_row", "letter_stacks", "plot_letters"],
        "modes": ["draw_modes", "plot_modes"],
        "motif_pairs": [
            "draw_motif_cooccurrence",
            "draw_motif_match",
            "plot_motif_cooccurrence",
            "plot_motif_match",
        ],
        "motif_sets": [
            "draw_motif_conservation",
            "draw_motif_positions",
            "plot_motif_conservation",
            "plot_motif_positions",
        ],
        "motifs": ["draw_motif", "plot_motif"],
        "mutations": ["draw_mutagenesis", "plot_mutagenesis"],
        "patterns": [
            "draw_convolution_patterns",
            "draw_positional_patterns",
            "plot_convolution_patterns",
            "plot_positional_patterns",
        ],
        "regions": ["draw_regions", "draw_spacing", "plot_regions", "plot_spacing"],
        "run_curves": ["draw_run", "plot_run"],
        "scores": ["draw_scores", "plot_scores"],
        "snapshots": ["draw_snapshots", "plot_snapshots"],
        "step_profile": ["draw_step_profile", "plot_step_profile"],
        "style": ["base_colour", "format_base", "set_base_colours", "set_theme"],
        "training": ["draw_training", "plot_training"],
        "trust": ["draw_trust", "plot_trust"],
        "trust_curves": ["draw_cascade", "draw_perturbation", "plot_cascade", "plot_perturbation"],
        "words": ["describe"],
    },
)
