"""Facts about this process: its start time, whether it runs in a pod, whether its threads were replaced."""

from __future__ import annotations

import functools
import os
import sys
from datetime import UTC, datetime, timedelta

from liveconfig import _clock

_IMPORTED_AT = _clock.now()


def started_at() -> datetime:
    """Return when the process started, which is the age of its environment variables.

    On Linux from field 22 of /proc/self/stat, proc_pid_stat(5), in clock ticks since boot; elsewhere the
    moment of import. Computed once for each process, so that a later change of the wall clock does not move it.
    """
    return _started_at(os.getpid())


@functools.cache
def _started_at(_pid: int) -> datetime:
    try:
        with open("/proc/self/stat", "rb") as stat, open("/proc/uptime", "rb") as uptime:
            ticks = int(stat.read().rpartition(b")")[2].split()[19])
            up = float(uptime.read().split()[0])
        return datetime.now(UTC) - timedelta(seconds=up - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return _IMPORTED_AT


def in_pod() -> bool:
    """Whether this is a container that the kubelet started."""
    return "KUBERNETES_SERVICE_HOST" in os.environ


def green_threads() -> str | None:
    """Return the name of a library that has replaced the threads, such as gevent; None if there is none."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("threading"):
        return "gevent"
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return "eventlet"
    return None
