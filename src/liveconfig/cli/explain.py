"""``liveconfig explain``: where each value came from, and whether it can change, in a new process or a running one."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from typing import Any

from liveconfig._status_text import FROZEN, UNKNOWN, exit_code, page
from liveconfig._terminal import painter, printable
from liveconfig.cli._arguments import add_output
from liveconfig.cli._http import NoAnswer, get_json
from liveconfig.cli._import_target import NoConfiguration, NoSettings, status_in_new_process

_EPILOG = (
    "Exit code: 0 all is well; 1 a field that a volume should feed is frozen, or the object MODULE:OBJECT has no valid "
    "configuration here; 2 there is no answer; 3 nothing is frozen, but the settings are not healthy. Outside a pod, "
    "name directories in place of the volumes: LIVECONFIG_VOLUMES=/etc/config=DIR liveconfig explain app:settings."
)
TIMEOUT = 10.0
"""Seconds for the complete answer of a status page."""

_NO_STATUS = "the answer is JSON, but not the status of settings: does the address end in /liveconfig/status?"
_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)  # RFC 9110, section 5.1
_LATIN_1 = 0xFF
_OTHER_SHAPE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""The errors of JSON with another shape, or with an impossible time."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its arguments."""
    parser.description = "Shows where each value comes from, never the value, and whether it can change."
    parser.epilog = _EPILOG
    parser.add_argument(
        "target",
        metavar="MODULE:OBJECT | URL",
        help="live settings, a Settings class, or a function that returns settings, loaded in a new process; or the "
        "status page of the running process (http://HOST:PORT/liveconfig/status; USER:PASSWORD@ before the host is "
        "sent as Basic authentication)",
    )
    add_output(parser, "the status as one JSON object")
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="NAME:VALUE",
        help="send this header to the status page, for its authentication; may be repeated",
    )


def run(given: argparse.Namespace) -> int:
    """Print where each value comes from.

    Returns:
        0; 1 for a frozen field, or without a valid configuration; 2 if there is no answer; 3 for settings that are not
        healthy.
    """
    running = given.target.startswith(("http://", "https://"))
    try:
        status = _ask(given.target, given.header) if running else status_in_new_process(given.target)
        text = _shown(status, running=running, as_json=given.output == "json")
    except (NoAnswer, NoSettings) as error:
        print("liveconfig explain:", "\n".join(printable(str(error).split("\n"))), file=sys.stderr)
        return FROZEN if isinstance(error, NoConfiguration) else UNKNOWN
    print(text)
    return exit_code(status)


def _ask(url: str, given: list[str]) -> dict[str, Any]:
    status = get_json(url, headers=dict(map(_header, given)), timeout=TIMEOUT)
    if not isinstance(status, dict) or not {"pid", "healthy", "fields", "frozen"} <= status.keys():
        raise NoAnswer(_NO_STATUS)
    return status


def _header(given: str) -> tuple[str, str]:
    """Return name and value of a header; one that cannot be sent is refused without its text, which may be secret."""
    name, colon, value = (part.strip() for part in given.partition(":"))
    if not (colon and _NAME.fullmatch(name)):
        raise NoAnswer("--header takes NAME:VALUE")
    if "\r" in value or "\n" in value:
        raise NoAnswer("the value of --header must not hold a line end")
    if any(ord(character) > _LATIN_1 for character in value):
        raise NoAnswer("the value of --header must hold characters of Latin-1 only")
    return name, value


def _shown(status: Mapping[str, Any], *, running: bool, as_json: bool) -> str:
    try:
        if as_json:
            return json.dumps({"new_process": not running, **status})
        return "\n".join(page(printable(status), painter(), new_process=not running))
    except _OTHER_SHAPE:
        pass  # its content may be secret
    raise NoAnswer(_NO_STATUS)
