"""Receivers of blinker signals, which are called like subscribers, after them."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

from liveconfig._delivery.subjects import EventQueue, Reloads, Version
from liveconfig._delivery.subscribers import Subscriber, is_coroutine, name_of
from liveconfig.events import Reloaded
from liveconfig.signals import Key, Receiver, receivers

_log = logging.getLogger("liveconfig")


class SignalSubscribers:
    """The receivers of one settings object with their progress. They are held weakly.

    Args:
        settings: The name of the settings class, with which each log line begins.
        sender: Returns the live object; None after it was collected.
    """

    def __init__(self, settings: str, sender: Callable[[], object | None]) -> None:
        self._settings = settings
        self._sender = sender
        self._known: dict[Key, Subscriber] = {}

    def __call__(self, reached: Version) -> tuple[Subscriber, ...]:
        """Return the connected receivers. A new one begins at the version that the others received last."""
        sender = self._sender()
        listening = receivers(sender) if sender is not None else {}
        if not listening and not self._known:
            return ()
        known = self._known
        self._known = {key: known.get(key) or self._new(key, receiver, reached) for key, receiver in listening.items()}
        return tuple(self._known.values())

    def _new(self, key: Key, receiver: Receiver, reached: Version) -> Subscriber:
        subject = Reloads(reached) if key[0] is Reloaded else EventQueue(key[0], reached)
        name = name_of(receiver)
        skip = _skip(self._settings, name)

        def call(event: Any) -> None:
            sender = self._sender()
            current = receivers(sender).get(key) if sender is not None else None
            result = None if current is None else current(sender, event=event)
            if result is not None and inspect.isawaitable(result):
                if inspect.iscoroutine(result):
                    result.close()
                skip(event)

        subscriber = Subscriber(subject, skip if is_coroutine(receiver) else call, initial=False, retry=True)
        subscriber.name = name
        return subscriber


def _skip(settings: str, name: str) -> Callable[[Any], None]:
    """Replace a coroutine receiver: log once that it is skipped."""
    logged: list[Any] = []

    def skip(event: Any) -> None:
        if not logged:
            logged.append(event)
            _log.error(
                "%s: receiver %s is a coroutine function and is skipped, because signals call plain functions only; "
                "subscribe it with `settings.live`",
                settings,
                name,
            )

    return skip
