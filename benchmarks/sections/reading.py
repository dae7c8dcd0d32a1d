"""What it costs to read one setting, as each one's documentation has it."""

from __future__ import annotations

import glob
import sys
from pathlib import Path

from benchmarks._bench import Bench, in_turn
from benchmarks._process import Process
from benchmarks._result import Promise, Section, Table
from benchmarks._script import script
from benchmarks._stats import duration, median
from benchmarks._volumes import Volume
from benchmarks.contenders import Contender
from benchmarks.sections._rows import behind, chart, times_floor

__all__ = ["run"]

_EXPRESSIONS = {
    "floor": "model.key",
    "liveconfig": "settings.key",
    "liveconfig_document": "settings.key",
    "dynamic_config": "config.current().key",
    "dynamic_config_secrets": "config.current().key",
    "pydantic_settings_new": "AppSettings().key",
    "dynaconf_fresh": 'settings.get_fresh("KEY")',
    "watchfiles_pydantic": "settings.key",
    "launchdarkly": 'client.variation("key", context, "")',
    "flagd": 'client.get_string_value("key", "")',
    "habit": "open(path).read()",
}


_PROCESSES = 3


def run(bench: Bench) -> Section:
    """Every contender's own expression, then ours against a plain model within one process."""
    runs = [_medians(bench) for _ in range(_PROCESSES)]
    values = {who: median([each[who] for each in runs]) for who in runs[0]}
    rows = [
        (who.title, f"`{_EXPRESSIONS[who.module]}`", duration(value), times_floor(value, values))
        for who, value in values.items()
    ]
    return Section(
        "Reading a setting",
        "One read of the newest value, written as in the documentation of each contender: processor time, the median "
        f"of {_PROCESSES} processes each, in turn. 10 fields. The floor is a plain frozen pydantic model. A read of "
        "liveconfig, of the floor and of watchfiles + pydantic is the same operation. In earlier runs they differed by "
        "up to 10 ns by chance: the benchmark made the names of the fields at run time, so that Python compared the "
        "characters of a name at each read, which took 2 ns in one process and 11 ns in another. Now the names are "
        "interned, as those in the source of a class are. The plain `settings.KEY` of dynaconf is cheaper than "
        "`get_fresh`, but never has the new value.",
        [Table(("", "read", "time", "times the floor"), rows)],
        [chart("reading", "One read of the newest value", values, duration)],
        _promises(bench),
        behind(values, "Reading a setting", duration),
    )


def _medians(bench: Bench) -> dict[Contender, float]:
    """The median of each contender in a process of its own."""

    def measure(pair: tuple[Process, Volume], _round: int) -> float:
        return float(pair[0].ask("time_reads", seconds=0.01))

    with bench.started(bench.contenders, 10) as pairs:
        found = in_turn(bench.rounds(10), pairs, measure)
    return {pair[0].contender: median(times) for pair, times in zip(pairs, found, strict=True)}


def _promises(bench: Bench) -> list[Promise]:
    promises = []
    for python in [sys.executable, *_others()]:
        found = script("attribute", bench.volume("keys", 10).path, str(bench.rounds(200)), python=python)
        promises.append(
            Promise(
                f"`settings.x`, compared with the same read of a plain frozen model, Python {found['python']}",
                "at most 1.05 times",
                f"{found['ratio']:.3f} times",
                found["ratio"] <= 1.05,
            )
        )
    return promises


def _others() -> list[str]:
    """Interpreters of other versions that `make test-all` has made ready."""
    return sorted(glob.glob(str(Path(__file__).parents[2] / ".venv-3.*" / "bin" / "python")))
