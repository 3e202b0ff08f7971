"""`python -m gseg_cli` is `gseg`."""

from gseg_cli.app import run

run()
