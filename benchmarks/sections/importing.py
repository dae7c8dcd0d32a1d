"""The time of ``import``, and of the start of the command line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence

import liveconfig
from benchmarks._bench import Bench, in_turn
from benchmarks._result import Chart, Loss, Promise, Section, Table
from benchmarks._stats import duration, median, ratio
from benchmarks._svg import Bar

__all__ = ["run"]

_SOURCE = os.path.dirname(os.path.dirname(liveconfig.__file__))
_BASE = "import pydantic_settings, watchdog.observers, blinker"
_OURS = "from liveconfig import Settings"
_COMMANDS = {"Python alone": ["-c", "pass"], "`liveconfig --version`": ["-m", "liveconfig", "--version"]}
_WHY = (
    "Import: the rest is about a hundred small modules: a fifth of our own time turns their bytecode into objects, a "
    "tenth finds and reads the files, and a third creates classes. Already done: PyYAML and tomllib, which took a "
    "quarter of the time before, are imported when they are first used, and so are the modules that read the reports "
    "of other processes (with pickle) and difflib; internal records are named tuples (0.06 ms each instead of 0.30 "
    "for a frozen dataclass with slots); all other records share their methods, and only `__init__` is compiled for "
    "each (0.08 ms; 8 of 37 ms in all, and a record is made in a third of the time); regular expressions for rare "
    "inputs are compiled when they are first used (1.5 ms). Together, the processor time fell from 1.42 to 1.23 times "
    "the base (0.1: 1.29). Tried: dataclasses without comparison and representation (0.19 ms each), and without "
    "`frozen` (0.17); such records in place of the named tuples (no faster). Not done: the modules that only "
    "documents, errors, streams and the status need on first use (3.4 of 25 ms; the first load or error that needs "
    "them would take as much longer, and they would be found through the package each time); fewer modules (0.07 ms "
    "each)."
)
_BECAUSE = "liveconfig imports pydantic-settings, watchdog and blinker."
_PEERS = {
    "dynamic-config-py": "from dynamic_config import DynamicConfig",
    "pydantic-settings": "from pydantic_settings import BaseSettings",
    "dynaconf": "from dynaconf import Dynaconf",
    "watchfiles + pydantic": "from watchfiles import watch; from pydantic import BaseModel",
    "LaunchDarkly": "import ldclient; from ldclient.integrations import Files",
    "flagd provider": "from openfeature import api; from openfeature.contrib.provider.flagd import FlagdProvider",
}


def run(bench: Bench) -> Section:
    """Measure imports inside new interpreters, without the start of Python, and whole commands with it."""
    statements = {"the base of liveconfig": _BASE, "liveconfig": _OURS, **(_PEERS if bench.peers else {})}
    python = bench.peers or sys.executable
    found = in_turn(
        bench.rounds(30) + 1, list(statements.values()), lambda statement, _: _import(bench, python, statement)
    )
    times = {name: median(values[1:]) for name, values in zip(statements, found, strict=True)}
    base, ours = times["the base of liveconfig"], times["liveconfig"]
    started = in_turn(bench.rounds(20) + 1, list(_COMMANDS.values()), lambda command, _: _start(bench, python, command))
    starts = [(name, median(values[1:])) for name, values in zip(_COMMANDS, started, strict=True)]
    rows = [(name, f"`{statements[name]}`", duration(value), ratio(value, base)) for name, value in times.items()]
    bars = [Bar(name, value, ours=name == "liveconfig") for name, value in list(times.items())[1:]]
    return Section(
        "Import",
        "Each measurement starts a new interpreter and takes the time inside it. All use the environment of the "
        "contenders, because the time grows with the number of installed packages (pydantic searches them for "
        "plugins). The base is the import of what liveconfig uses: pydantic-settings, watchdog and blinker. The "
        "commands are measured from the start of the process to its end; `liveconfig --version` does not import "
        "pydantic.",
        [
            Table(("", "statement", "time", "times the base"), rows),
            Table(
                ("command, from start to end", "time", "times Python alone"),
                [(name, duration(value), ratio(value, starts[0][1])) for name, value in starts],
            ),
        ],
        [Chart("import", "Import", bars, duration, base)],
        [
            Promise(
                "import, compared with pydantic_settings, watchdog and blinker",
                "at most 1.25 times",
                f"{ours / base:.2f} times ({duration(ours)})",
                ours / base <= 1.25,
                _WHY,
            )
        ],
        [
            Loss("Import", name, duration(value), duration(ours), ratio(ours, value), _BECAUSE)
            for name, value in list(times.items())[2:]
            if value * 1.05 < ours
        ],
    )


def _import(bench: Bench, python: str, statement: str) -> float:
    code = f"import time; start = time.perf_counter_ns()\n{statement}\nprint(time.perf_counter_ns() - start)"
    done = subprocess.run([python, "-c", code], capture_output=True, check=True, env=_environment(bench))
    return float(done.stdout)


def _start(bench: Bench, python: str, command: Sequence[str]) -> float:
    environment, start = _environment(bench), time.perf_counter_ns()
    subprocess.run([python, *command], capture_output=True, check=True, env=environment)
    return float(time.perf_counter_ns() - start)


def _environment(bench: Bench) -> dict[str, str]:
    # Bytecode is kept for all of them alike, as it is where a package was installed; the first round writes it.
    environment = {**os.environ, "PYTHONPATH": _SOURCE, "PYTHONPYCACHEPREFIX": str(bench.directory / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment
