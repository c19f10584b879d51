"""A study as scanners make it -> what networks are trained on: one grid of 1 mm, brains without skull."""
