"""One module a question; `SECTIONS` is their order on the page."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks._bench import Bench
from benchmarks._result import Section
from benchmarks.sections import (
    audit,
    following,
    idle,
    importing,
    isolation,
    loading,
    memory,
    mixed,
    pause,
    probe,
    processes,
    reading,
    recheck,
    subscribers,
    updates,
    web,
)

__all__ = ["SECTIONS"]

SECTIONS: dict[str, Callable[[Bench], Section]] = {
    "reading": reading.run,
    "readable": following.readable,
    "callback": following.callback,
    "updates": updates.run,
    "mixed": mixed.run,
    "loading": loading.run,
    "pause": pause.run,
    "idle": idle.run,
    "memory": memory.run,
    "import": importing.run,
    "isolation": isolation.run,
    "recheck": recheck.run,
    "probe": probe.run,
    "processes": processes.run,
    "subscribers": subscribers.run,
    "web": web.run,
    "audit": audit.run,
}
