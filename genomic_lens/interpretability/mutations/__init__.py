"""What a model says of a sequence in which something is changed."""
