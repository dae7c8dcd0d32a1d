"""`make bench`: run the sections, print what they find, write docs/performance.md."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import _page
from benchmarks._bench import Bench
from benchmarks._machine import machine, versions
from benchmarks._result import Section
from benchmarks.sections import SECTIONS


def main() -> int:
    options = _options()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=options.directory, prefix="liveconfig-bench-") as directory:
        bench = Bench(Path(directory), options.ours, options.quick)
        description = machine(bench.directory)
        print(description, flush=True)
        found = [_run(bench, name) for name in options.section or SECTIONS]
        promises = [promise for section in found for promise in section.promises]
        if promises:
            print(_page.promise_table(promises))
        if not (options.quick or options.section or options.ours) or options.write:
            _page.write(found, description, versions(bench), time.monotonic() - started)
            print("\nwritten: docs/performance.md")
    return 0


def _run(bench: Bench, name: str) -> Section:
    started = time.monotonic()
    section = SECTIONS[name](bench)
    print(f"\n{_page.text_of(section)}\n({time.monotonic() - started:.0f} s)", flush=True)
    for loss in section.losses:
        print(f"behind on {loss.what}: {loss.who} {loss.theirs}, liveconfig {loss.ours} ({loss.times} times)")
    return section


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("section", nargs="*", metavar="SECTION", help=f"only these: {', '.join(SECTIONS)}")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rounds, about a minute")
    parser.add_argument("--ours", action="store_true", help="only liveconfig, the floor, the habit; no installation")
    parser.add_argument("--write", action="store_true", help="write the page even though the run was not a full one")
    parser.add_argument("--directory", default=_memory(), help="where volumes are made (default: in memory)")
    options = parser.parse_args()
    if unknown := set(options.section) - SECTIONS.keys():
        parser.error(f"there is no section {', '.join(sorted(unknown))}")
    return options


def _memory() -> str | None:
    """Where Secrets are mounted from; None, the usual place for temporary files, where there is none."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    sys.exit(main())
