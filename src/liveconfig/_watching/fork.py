"""Objects that a forked child must renew, in a weak registry; and what holds when the interpreter ends.

A child has one thread, and whatever locks the parent's other threads held at that moment are held for ever. So each
object that owns locks or threads names itself here. In the child, before any other code runs there, all are renewed
first, and only then resumed: what resumes may use what was renewed.

An interpreter that is finalizing is like such a child: all other threads stand still for ever, with their locks. So the
objects are renewed then too, by the first call of a finalizer or a generator that comes so late.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
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
        self._ended = False

    def add(self, member: Forked, first: bool) -> None:
        members = self._first if first else self._others
        if id(member) not in members:
            members[id(member)] = weakref.ref(member)
            weakref.finalize(member, members.pop, id(member), None).atexit = False
        if not self._hooked and hasattr(os, "register_at_fork"):  # where there is no fork, there is no child
            self._hooked = True
            os.register_at_fork(after_in_child=self._in_child)

    def _renew(self) -> list[Forked]:
        references = [*self._first.values(), *self._others.values()]
        members = [member for reference in references if (member := reference()) is not None]
        for member in members:
            member.renew()
        return members

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._renew()

    def _in_child(self) -> None:
        for member in self._renew():
            try:
                member.resume()
            except Exception as error:  # noqa: BLE001 - one that fails must not keep the others from resuming
                _log.error(
                    "liveconfig: could not restart %s in a forked child; please report this error: %s",
                    type(member).__name__,
                    redacted_traceback(error),
                )


_registry = _Registry()


def renew_in_child(member: Forked, *, first: bool = False) -> None:
    """Have ``member`` renewed and resumed in every child that is forked from now on, while it lives.

    Args:
        member: It is held weakly.
        first: Before those that are not: they lean on it.
    """
    _registry.add(member, first)


def renew_at_end() -> None:
    """Renew all, once, if the interpreter is finalizing. To be called before any lock is taken."""
    if sys.is_finalizing():
        _registry.end()


def is_ending() -> bool:
    """Whether the caller holds up the end of the interpreter: called by `atexit`, or when that is finalizing.

    A program whose main thread has returned and whose other threads go on is not ending.
    """
    if sys.is_finalizing():
        return True
    main = threading.main_thread()
    return not main.is_alive() and threading.current_thread() is main


def start_thread(thread: threading.Thread) -> None:
    """Start a thread.

    Raises:
        RuntimeError: There is none to be had: the limit of processes is reached, or the interpreter is ending.
    """
    if sys.is_finalizing():  # it would never run, and `start` would wait for it for ever
        raise RuntimeError("the interpreter is ending")
    thread.start()
