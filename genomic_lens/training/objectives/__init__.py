"""What a model is asked: the next base, hidden bases, a class, several labels, values, a class of each base."""
