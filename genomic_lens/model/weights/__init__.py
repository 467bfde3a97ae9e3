"""Published weights: reading them, and making sure of them."""
