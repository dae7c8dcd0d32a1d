"""Exit code 0 if this Python imports liveconfig from the ``src`` folder of this clone, 1 with the reason if not."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "liveconfig" / "__init__.py"


def main() -> str | None:
    """Compare the file that would be imported with the one in the clone.

    Returns:
        What is wrong, for `sys.exit`; None if nothing is.
    """
    found = find_spec("liveconfig")
    origin = found and found.origin
    if origin and Path(origin).resolve() == SOURCE.resolve():
        return None
    return f"liveconfig would be imported from {origin}, not from {SOURCE}: installing the clone again"


if __name__ == "__main__":
    sys.exit(main())
