"""Which motifs a model has learnt, and what they are called."""
