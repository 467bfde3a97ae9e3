"""Filters as long as the sequence, and the Hyena operator that is made of them."""
