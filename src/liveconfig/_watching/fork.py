"""Objects that a forked child must renew, in a weak registry.

A child has one thread, and whatever locks the parent's other threads held at that moment are held for ever. So each
object that owns locks or threads names itself here. In the child, before any other code runs there, all are renewed
first, and only then resumed: what resumes may use what was renewed.
"""

from __future__ import annotations

import logging
import os
import weakref
from typing import Protocol

from liveconfig._traceback import redacted_traceback

_log = logging.getLogger("liveconfig")


class Forked(Protocol):
    """Something that owns locks or threads."""

    def renew(self) -> None:
        """Make locks new; forget the parent's threads and descriptors without touching them."""

    def resume(self) -> None:
        """Start what was running."""


class _Registry:
    def __init__(self) -> None:
        self._first: dict[int, weakref.ref[Forked]] = {}
        self._others: dict[int, weakref.ref[Forked]] = {}
        self._hooked = False

    def add(self, member: Forked, first: bool) -> None:
        members = self._first if first else self._others
        if id(member) not in members:
            members[id(member)] = weakref.ref(member)
            weakref.finalize(member, members.pop, id(member), None).atexit = False
        if not self._hooked and hasattr(os, "register_at_fork"):  # where there is no fork, there is no child
            self._hooked = True
            os.register_at_fork(after_in_child=self._in_child)

    def _in_child(self) -> None:
        references = [*self._first.values(), *self._others.values()]
        members = [member for reference in references if (member := reference()) is not None]
        for member in members:
            member.renew()
        for member in members:
            try:
                member.resume()
            except Exception as error:  # noqa: BLE001 - one that fails must not keep the others from resuming
                _log.error(
                    "a forked child could not go on with %s: %s", type(member).__name__, redacted_traceback(error)
                )


_registry = _Registry()


def renew_in_child(member: Forked, *, first: bool = False) -> None:
    """Have ``member`` renewed and resumed in every child that is forked from now on, while it lives.

    Args:
        member: It is held weakly.
        first: Before those that are not: they lean on it.
    """
    _registry.add(member, first)
