"""Facts about other processes from /proc: proc(5)."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from liveconfig._processes.memory_file import LINK, is_complete

LARGEST = 8 * 1024 * 1024
"""Bytes of a report at most; one of 64 settings objects with a full history has a few hundred thousand."""

MOST_FILES = 16
"""Memory files of one process that are read at most; one that forks has one."""

PATIENCE = 0.05
"""Seconds that a process gets to write a report that it has begun; it needs less than a thousandth of that."""

_WITH_VALUE = "WX"
"""Options of the Python interpreter that take a value."""


class Process(NamedTuple):
    """One process.

    Attributes:
        pid: Its number, as this process sees it.
        parent: Its parent's.
        started_at: When it started.
    """

    pid: int
    parent: int
    started_at: datetime | None


class NotReadable(Exception):  # noqa: N818 - caught inside, never seen by users
    """The kernel does not allow this process to read that one."""


def processes(pid: int | None = None) -> dict[int, Process]:
    """All processes of this process's namespace, by number; or the given one alone."""
    try:
        numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()] if pid is None else [pid]
    except OSError:
        return {}
    booted = _booted_at()
    return {number: process for number in numbers if (process := _process(number, booted)) is not None}


def _process(pid: int, booted: datetime | None) -> Process | None:
    try:
        fields = _stat_of(pid)
        ticks = timedelta(seconds=int(fields[19]) / os.sysconf("SC_CLK_TCK"))
        return Process(pid, int(fields[1]), booted and booted + ticks)
    except (OSError, ValueError, IndexError):
        return None  # it has ended


def has_ended(pid: int) -> bool:
    """Whether a process has ended or is about to: it has no memory any more. Its files in /proc belong to root then."""
    try:
        return _stat_of(pid)[20] == b"0"
    except (OSError, IndexError):
        return True


def _stat_of(pid: int) -> list[bytes]:
    """The fields of proc_pid_stat(5) from the third on: the state, the parent, and others."""
    with open(f"/proc/{pid}/stat", "rb") as stat:
        return stat.read().rpartition(b")")[2].split()


def _booted_at() -> datetime | None:
    try:
        with open("/proc/uptime", "rb") as uptime:
            return datetime.fromtimestamp(time.time() - float(uptime.read().split()[0]), UTC)
    except (OSError, ValueError):
        return None


def own_number(pid: int) -> int | None:
    """The number that a process has in its own namespace: the last of ``NSpid`` in proc_pid_status(5)."""
    try:
        with open(f"/proc/{pid}/status", "rb") as status:
            lines = [line.split() for line in status if line.startswith(b"NSpid:")]
        return int(lines[0][-1]) if lines else pid
    except (OSError, ValueError):
        return None


def has_other_root(pid: int) -> bool:
    """Whether a process has another root directory than this one, as in another container; False if it is not known."""
    try:
        return not os.path.samestat(os.stat(f"/proc/{pid}/root"), os.stat("/proc/self/root"))
    except OSError:
        return False


def report_files(pid: int) -> list[str]:
    """The paths through which the memory files called ``liveconfig`` of a process can be read.

    Raises:
        NotReadable: This process may not look; proc(5) asks for ptrace read access.
    """
    folder = f"/proc/{pid}/fd"
    found = []
    try:
        for name in os.listdir(folder):
            try:
                if os.readlink(f"{folder}/{name}") == LINK:
                    found.append(f"{folder}/{name}")
            except FileNotFoundError:
                continue  # closed meanwhile
    except PermissionError:
        raise NotReadable from None
    except OSError:
        return []  # it has ended
    return found[:MOST_FILES]


def read(path: str) -> bytes | None:
    """The content of a report; None if it is gone. One that is larger than `LARGEST` counts as empty.

    A process that replaces its report makes another file, which is empty at first: this waits for its content.

    Raises:
        NotReadable: This process may not look.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except PermissionError:
        raise NotReadable from None
    except OSError:
        return None
    try:
        deadline = time.monotonic() + PATIENCE
        while not is_complete(descriptor) and time.monotonic() < deadline:
            time.sleep(0.001)
        size = os.fstat(descriptor).st_size
        return os.pread(descriptor, size, 0) if size <= LARGEST else b""
    except OSError:
        return None
    finally:
        os.close(descriptor)


def command(pid: int) -> str:
    """The name of the program, and for Python the file name of the script or the module after ``-m``.

    Other arguments are left out: command lines hold secrets.
    """
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            arguments = file.read(64 * 1024).decode("utf-8", "backslashreplace").split("\0")
    except OSError:
        return "?"
    program = os.path.basename(arguments[0].split(" ")[0]).rstrip(":") or _name(pid)
    if not program.startswith(("python", "pypy")):
        return program
    return " ".join([program, *_script(arguments[1:])])


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="backslashreplace") as file:
            return file.read().strip()
    except OSError:
        return "?"


def _script(arguments: list[str]) -> list[str]:
    """The file name of the script, ``-m`` with the module, or ``-c`` alone: the next argument is text of a program."""
    left = iter(arguments)
    for argument in left:
        if not argument.startswith("-") or argument == "-":
            return [os.path.basename(argument)] if argument else []
        if argument.startswith("--"):
            if argument == "--check-hash-based-pycs":
                next(left, None)
            continue
        ending, value = _last_option(argument)
        if ending == "c":
            return ["-c"]
        if ending == "m":
            return ["-m", value or next(left, "")]
        if ending in _WITH_VALUE and not value:
            next(left, None)
    return []


def _last_option(argument: str) -> tuple[str, str]:
    """The option among joined ones, as in ``-uc``, that ends them because it takes a value; and that value."""
    for at, letter in enumerate(argument[1:], 2):
        if letter in f"cm{_WITH_VALUE}":
            return letter, argument[at:]
    return " ", ""
