"""A flag is turned off while a verifier refuses the Secret."""

from __future__ import annotations

from benchmarks._bench import Bench
from benchmarks._result import Promise, Section, Table
from benchmarks._script import script
from benchmarks._stats import duration

__all__ = ["run"]

_TARGET = 50_000_000


def run(bench: Bench) -> Section:
    """Two volumes; each round rotates the Secret, then turns the flag."""
    paths = [str(bench.directory / f"isolation-{name}") for name in ("flags", "secret")]
    found = script("isolation", str(bench.rounds(200)), *paths)
    rows = [
        (what, duration(found[name]["median"]), duration(found[name]["worst"]))
        for what, name in (("the Secret stands refused", "refused"), ("the verifier is still running", "running"))
    ]
    worst = max(each["worst"] for each in found.values())
    return Section(
        "A flag beside a refused Secret",
        "liveconfig only: a flag on one volume, a password on another one, and a verifier of the password that always "
        "refuses. The time goes from the rename in the flag's volume to the call of the flag's subscriber.",
        [Table(("", "median", "worst"), rows)],
        promises=[
            Promise("a flag goes off while its Secret is refused", "under 50 ms", duration(worst), worst < _TARGET)
        ],
    )
