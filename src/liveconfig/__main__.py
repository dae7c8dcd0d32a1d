"""``python -m liveconfig``."""

from __future__ import annotations

import sys

from liveconfig.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
