"""`python -m winnow`: the same as `winnow`."""

import sys

from winnow.cli import main

sys.exit(main())
