"""``python -m liveconfig``."""

from __future__ import annotations

from liveconfig.cli import program

__all__ = ["program"]

if __name__ == "__main__":
    program()
