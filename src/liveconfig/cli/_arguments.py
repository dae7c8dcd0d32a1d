"""Arguments that several commands have."""

from __future__ import annotations

import argparse
import contextlib


def add_output(parser: argparse.ArgumentParser, as_json: str) -> None:
    """Add ``-o json``, as the other commands have it, and its short form ``--json``.

    Args:
        parser: That of the command; ``output`` is ``"table"`` or ``"json"``.
        as_json: What is printed then.
    """
    parser.add_argument(
        "-o", "--output", choices=("table", "json"), default="table", help=f"table (default), json: {as_json}"
    )
    parser.add_argument("--json", dest="output", action="store_const", const="json", help="the same as -o json")


def seconds(text: str) -> float:
    """The value of an argument that takes a length of time.

    Raises:
        ArgumentTypeError: It is no number, or less than 0.
    """
    with contextlib.suppress(ValueError):
        number = float(text)
        if 0 <= number <= 1e9:
            return number
    raise argparse.ArgumentTypeError(f"expected a number of seconds, not {text!r}")
