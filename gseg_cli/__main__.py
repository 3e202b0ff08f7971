"""`python -m gseg_cli` is `gseg`."""

import sys

from gseg_cli.app import main

sys.exit(main())
