"""What the web guests cost a request, and when every worker of a server has a new value. Of liveconfig alone."""

from __future__ import annotations

from benchmarks._bench import Bench
from benchmarks._result import Promise, Section, Table
from benchmarks._script import script
from benchmarks._stats import duration

__all__ = ["run"]

_WHY = (
    "A pin takes about 1 µs when nothing else runs, and three times as long between two requests, because they fill "
    "the caches of the processor. An empty `with` in an empty middleware adds 1.5 to 2.4 µs. Setting and resetting a "
    "context variable in it adds 2.5 to 3.4 µs. Already done: a pin without a generator, also where it is left (0.2 "
    "went through the entries of a pin with two generators there: 0.6 µs of 1.8), and a pin that reads the snapshot "
    "directly, without a look for the end of the interpreter (0.5 µs; Flask: 3.8 to 4.4 µs where the same run had 5.2 "
    "to 5.9). Tried: one pin for all requests (0.1 µs less, but it would not know which request left it)."
)


def run(bench: Bench) -> Section:
    """A request with and without a pin; a swap until 4 workers have heard."""
    costs = script("web", str(bench.directory), str(bench.rounds(300)))
    swaps = str(bench.rounds(100))
    workers = {
        kind: script("workers", str(bench.directory / f"preload-{preload}"), swaps, preload)
        for kind, preload in (("--preload", "1"), ("without --preload", "0"))
    }
    return Section(
        "Web applications",
        "liveconfig only. Processor time of one request: medians of interleaved rounds, and of the difference to the "
        "application without liveconfig in the same round. FastAPI itself needs time for any dependency "
        "with `yield`. Then 4 gunicorn workers: the time from the rename to the call of a subscriber, as the median of "
        f"{swaps} swaps.",
        [_costs(costs), _workers(workers)],
        promises=_promises(costs["added"], workers),
    )


def _costs(costs: dict[str, dict[str, float]]) -> Table:
    rows = [
        ("FastAPI, no dependency", "fastapi", "alone"),
        ("`Depends(get_settings)`, a plain function, as in FastAPI's tutorial", "fastapi", "cached"),
        ("an asynchronous dependency that does nothing", "fastapi", "empty"),
        ("an asynchronous dependency with `yield` that does nothing", "fastapi", "nothing"),
        ("`Depends(pinned(settings))`", "fastapi", "pinned"),
        ("`PinnedMiddleware`", "fastapi", "middleware"),
        ("Flask, no extension", "flask", "alone"),
        ("`LiveConfig(settings)`", "flask", "extension"),
    ]
    added = {name: duration(max(time, 0)) for name, time in costs["added"].items()}
    cells = [(what, duration(costs[framework][name]), added.get(name, "")) for what, framework, name in rows]
    return Table(("", "a request", "added"), cells)


def _workers(found: dict[str, dict[str, float]]) -> Table:
    rows = [
        (kind, duration(times["each"]), duration(times["last"]), duration(times["worst"]))
        for kind, times in found.items()
    ]
    return Table(("4 workers of gunicorn", "one worker", "the last of 4", "slowest swap"), rows)


def _promises(added: dict[str, float], workers: dict[str, dict[str, float]]) -> list[Promise]:
    yields = duration(max(added["nothing"], 0))
    costs = {
        f"FastAPI: `pinned`, compared with a dependency with `yield` that does nothing, which costs {yields}": added[
            "pin"
        ],
        "FastAPI: `PinnedMiddleware`, compared with the application without it": added["middleware"],
        "Flask: the extension, compared with the application without it": added["extension"],
    }
    slowest = max(times["last"] for times in workers.values())
    return [
        *(
            Promise(what, "at most 5 µs a request", duration(max(time, 0)), time <= 5_000, _WHY)
            for what, time in costs.items()
        ),
        Promise("every one of 4 workers has the new value", "within 50 ms", duration(slowest), slowest <= 50e6),
    ]
