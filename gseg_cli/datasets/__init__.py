"""Data sets: the toy faces that gseg renders itself, and readers for published ones."""
