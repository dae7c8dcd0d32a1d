"""Forked children: a weak registry of the objects that they renew, their end, and the end of the interpreter.

A child has one thread, and the locks that other threads of the parent held at that moment stay locked for ever.
Therefore each object that owns locks or threads registers itself here. In the child, before any other code runs, all of
them are renewed first, and only then resumed, because an object that resumes may use the others.

The thread that forked is the only one in the child, and its end is the end of the process. Threads of liveconfig that
run in the child must not keep it alive: it ends when all other threads have ended.

An interpreter that is finalizing is similar: all other threads have stopped, with their locks. The first late call of a
finalizer or a generator therefore renews the objects, too.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import weakref
from typing import NoReturn, Protocol

from liveconfig._traceback import redacted_traceback

_log = logging.getLogger("liveconfig")


class Forked(Protocol):
    """An object that owns locks or threads."""

    def renew(self) -> None:
        """Create the locks again; forget the parent's threads and descriptors without using them."""

    def resume(self) -> None:
        """Start the threads that were running."""


class _Registry:
    def __init__(self) -> None:
        self._first: dict[int, weakref.ref[Forked]] = {}
        self._others: dict[int, weakref.ref[Forked]] = {}
        self._hooked = False
        self._ended = False
        self._guard: threading.Thread | None = None
        self.forks = 0
        self.threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()

    def add(self, member: Forked, first: bool) -> None:
        members = self._first if first else self._others
        if id(member) not in members:
            members[id(member)] = weakref.ref(member)
            weakref.finalize(member, members.pop, id(member), None).atexit = False
        if not self._hooked and hasattr(os, "register_at_fork"):  # Windows has no fork
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
        self.forks += 1
        self._guard = None
        for member in self._renew():
            try:
                member.resume()
            except Exception as error:  # noqa: BLE001 - one that fails must not keep the others from resuming
                _log.error(
                    "liveconfig: could not restart %s in a forked child; please report this error: %s",
                    type(member).__name__,
                    redacted_traceback(error),
                )

    def guard(self) -> None:
        """Make the process end with the forked thread, if that was not the main thread of the parent."""
        main = threading.main_thread()
        # The end of a `_MainThread` is the end of the process in any case, and a `_DummyThread` cannot be waited for.
        if self._guard is None and type(main).__name__ not in ("_MainThread", "_DummyThread"):
            self._guard = threading.Thread(target=_end_with, args=(main,), name="liveconfig-end", daemon=True)
            self.threads.add(self._guard)
            self._guard.start()


_registry = _Registry()


def renew_in_child(member: Forked, *, first: bool = False) -> None:
    """Register an object, to be renewed and resumed in every child that is forked from now on.

    Args:
        member: The object. It is held weakly.
        first: Whether it is renewed before the others, which depend on it.
    """
    _registry.add(member, first)


def renew_at_end() -> None:
    """Renew all objects, once, if the interpreter is finalizing. Call it before any lock is acquired."""
    if sys.is_finalizing():
        _registry.end()


def is_ending() -> bool:
    """Whether the caller delays the end of the interpreter: it runs in `atexit`, or the interpreter is finalizing.

    A program whose main thread has returned and whose other threads still run is not ending.
    """
    if sys.is_finalizing():
        return True
    main = threading.main_thread()
    return not main.is_alive() and threading.current_thread() is main


def start_thread(thread: threading.Thread) -> None:
    """Start a thread.

    Raises:
        RuntimeError: No thread can be started: the limit of processes is reached, or the interpreter is ending.
    """
    if sys.is_finalizing():  # the thread would never run, and `start` would wait for ever
        raise RuntimeError("the interpreter is ending")
    _registry.threads.add(thread)
    thread.start()
    _registry.guard()


def fork_count() -> int:
    """Return the number of forks between the process that loaded liveconfig and this one."""
    return _registry.forks


def is_own_thread(thread: threading.Thread) -> bool:
    """Whether liveconfig started a thread."""
    return thread in _registry.threads


def end_process(failure: BaseException | None) -> NoReturn:
    """End a forked process, with the exit code of what ended its call, once its other threads have ended."""
    code = 1
    try:
        code = _exit_code(failure)
        _wait_for_others()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    finally:
        os._exit(code)


def _exit_code(failure: BaseException | None) -> int:
    if failure is None:
        return 0
    if not isinstance(failure, SystemExit):
        with contextlib.suppress(Exception):  # a log handler raised
            _log.error(
                "liveconfig ends a process that was forked in user code: that raised %s", redacted_traceback(failure)
            )
        return 1
    if isinstance(failure.code, int):
        return failure.code & 0xFF
    if failure.code is not None and sys.stderr is not None:
        sys.stderr.write(f"{failure.code}\n")  # as Python does
    return 0 if failure.code is None else 1


def _end_with(main: threading.Thread) -> None:
    main.join()
    end_process(None)


def _wait_for_others() -> None:
    """Wait until all threads have ended, except this one and those of liveconfig."""

    def others() -> list[threading.Thread]:
        own = (threading.current_thread(), *_registry.threads)
        return [thread for thread in threading.enumerate() if thread not in own]

    while found := others():
        found[0].join()
