"""How much each base contributed to an output, and whether it adds up."""
