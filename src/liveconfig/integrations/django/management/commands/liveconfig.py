"""``manage.py liveconfig explain``: where each value of the live settings comes from."""

from __future__ import annotations

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
        actions.add_parser("explain", help="A table of the fields: origin, live or frozen, since when. No values.")

    def handle(self, *_arguments: Any, **_options: Any) -> None:
        """Print the table. The exit code is 1 if a field that a volume should feed is frozen."""
        status = configuration().settings.live.status()
        self.stdout.write(explained(status))
        if status.frozen:
            sys.exit(1)
