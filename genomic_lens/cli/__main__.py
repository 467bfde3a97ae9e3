"""`python -m genomic_lens.cli`, the same as `genomic-lens`."""

import os
import sys

# `-m` puts the current folder first, where a file of the user's would stand in for a package of its name.
sys.path[:] = [place for place in sys.path if place not in ("", os.getcwd())]

from .commands import main  # noqa: E402

sys.exit(main())
