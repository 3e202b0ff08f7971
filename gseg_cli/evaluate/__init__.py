"""Measuring label maps against the truth."""
