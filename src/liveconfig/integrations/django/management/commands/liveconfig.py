"""``manage.py liveconfig explain``: where each value of the live settings comes from."""

from __future__ import annotations

import io
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from liveconfig.integrations._status_page import explained
from liveconfig.integrations.django._configuration import configuration


class Command(BaseCommand):
    """The command ``liveconfig``."""

    help = "Shows where the live settings come from."
    requires_system_checks: list[str] = []  # noqa: RUF012 - as Django declares it

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the action."""
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("explain", help="Where each value comes from, never the value, and whether it can change.")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        """Print the text. Exit code 1: a field that a volume should feed is frozen; 3: the settings are not healthy."""
        output = io.StringIO() if options["no_color"] else self.stdout  # decides on colours and width
        text, code = explained(configuration().settings, output)
        self.stdout.write(text)
        if code:
            sys.exit(code)
