"""Toy faces: rendered portraits with exact label maps, the data that gseg brings along."""
