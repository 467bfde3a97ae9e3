"""What a model is stacked from: gates, attention, blocks, embeddings of words, heads."""
