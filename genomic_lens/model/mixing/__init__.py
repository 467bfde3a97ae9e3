"""What each layer moves along one sequence, as a linear operator."""
