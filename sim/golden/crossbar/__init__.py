"""Golden twins of the crossbar units."""
