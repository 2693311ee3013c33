"""``python -m ems_dash``."""

import sys

from ems_dash.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
