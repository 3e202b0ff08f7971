"""The command line and the training side of gseg."""

__version__ = "0.1.0"
