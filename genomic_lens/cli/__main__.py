"""`python -m genomic_lens.cli`, the same as `genomic-lens`."""

import sys

from .commands import main

sys.exit(main())
