"""How far an explanation may be believed."""
