"""What an analysis returns: arrays, how they were made, and how far they can be trusted."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "attention": ["FilterBank", "HiddenAttention", "ModeBank"],
        "attributions": ["Attribution", "completeness_gap"],
        "chunks": ["ChunkMap"],
        "monitoring": ["AttentionHistory", "FilterHistory", "StepProfile", "TrainingRun"],
        "motifs": ["Motif", "MotifDiscovery", "MotifMatches"],
        "mutations": ["DependencyMap", "MotifEffect", "MotifSpacing", "Mutagenesis", "RegionEffects"],
        "patterns": ["AttentionSummary", "ConvolutionPatterns", "FeatureEnrichment", "PositionalPatterns"],
        "predictions": ["Prediction", "Score", "Substitutions"],
        "prompting": ["PromptScore"],
        "pyramid": ["PooledAttention"],
        "store": ["Record", "atomic_write"],
        "trust": ["Cascade", "PerturbationCurves", "TrustCheck", "TrustReport"],
    },
)
