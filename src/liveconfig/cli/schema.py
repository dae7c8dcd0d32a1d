"""``liveconfig schema``: JSON Schema for the ``data`` of a ConfigMap."""

from __future__ import annotations

import argparse
import json
import sys

from liveconfig._checks import CannotCheck, schema_of
from liveconfig._terminal import printable
from liveconfig.cli._application_code import application_code
from liveconfig.cli._import_target import NoSettings, class_in


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its arguments."""
    parser.description = (
        "Prints a JSON Schema for the data of a ConfigMap that feeds a settings class. All values are strings. Fields "
        "that hold secrets are left out."
    )
    parser.add_argument("target", metavar="MODULE:CLASS", help="the settings class, as app.settings:AppSettings")
    parser.add_argument("-o", "--output", choices=("json",), default="json", help="the format")


def run(arguments: argparse.Namespace) -> int:
    """Print the schema.

    Returns:
        0, or 2 if the class cannot be imported, or one of its sources fails.
    """
    try:
        cls = class_in(arguments.target)
        with application_code():
            schema = schema_of(cls)
    except (CannotCheck, NoSettings) as error:
        print(f"liveconfig schema: {printable(str(error))}", file=sys.stderr)
        return 2
    print(json.dumps(schema, indent=2))
    return 0
