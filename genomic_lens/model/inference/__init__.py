"""Base after base, variant after variant, window after window."""
