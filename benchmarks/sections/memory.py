"""Memory, threads and descriptors for one settings object and for many."""

from __future__ import annotations

from benchmarks._bench import Bench
from benchmarks._process import ContenderError, TooSlowError
from benchmarks._result import Promise, Section, Table
from benchmarks._script import script
from benchmarks._stats import bytes_
from benchmarks._usage import Usage
from benchmarks.contenders import Contender
from benchmarks.sections._rows import behind, chart

__all__ = ["run"]

_COUNTS = (1, 10, 100)
_PATIENCE = 20.0
_KEYS = 10_000
_SHAPES = {"keys": "single keys", "json": "one JSON document"}
_BEFORE = {"keys": "6.6", "json": "8.7"}
_WHY = (
    "Memory: beside the values, an object holds the bytes of the files (a reload compares them; 0.6 of the values; of "
    "one document, 0.4), the names of a document (0.6), the key of each field (0.2), the set of fields that pydantic "
    "keeps for each instance (0.5), and dictionaries: of the files (0.2, for single keys) and of the values of the "
    "volume, of the snapshot and of the live object (0.2 each); the class holds two tables of names (0.4). Already "
    "done: names of files are the same strings as names in source code (0.6 MiB of 3.8, for single keys), and the "
    "table of plain keys is made only where a volume has single keys (0.2 MiB, for one document); what the sources "
    "saw at the first load is not kept (0.8 MiB of 6.4); the class and the names of its fields share their strings "
    "(0.6 MiB); snapshot and live object share one set of fields, which only a copy changes (0.5 MiB); times are kept "
    "only of files that changed later (0.2 MiB); a field of a plain type has no object of its own for its name in a "
    "document (3 MiB of 7.5). Tried: digests in place of the bytes (nothing less for values shorter than a digest); "
    "the names of a document replaced by those of the class (0.6 MiB less, but 4 % more processor time for the reload "
    "of 1,000 keys); a copy of the set of fields, which Python could have made smaller (as large as before); the "
    "contents of all files in one string of bytes, with a dictionary of places (820 KiB in place of 836, because each "
    "place is an object) or with places in the order of the names (0.4 MiB less of 3.2 for single keys, but 0.1 ms "
    "more for each reload of 1,000 keys, a second kind of mapping, and nothing less for one document). Not done: a "
    "digest of a document in place of its bytes (0.4 MiB of 3.4 for one document and nothing for single keys, "
    "but it takes 0.03 ms for 1,000 keys, 3 % of the reload, and there would be two kinds of content in one mapping); "
    "one dictionary for the two tables of the class where all names are equal (0.2 MiB, once for each class); one "
    "dictionary for snapshot and live object (0.2 MiB), because what a descriptor of the user keeps on the one would "
    "be on the other."
)
_BECAUSE = {"dynamic_config_secrets": "It does not watch."}


def run(bench: Bench) -> Section:
    """One process a contender, which makes more and more objects over one volume."""
    used = {who: _grow(bench, who) for who in bench.contenders if not who.rereads}
    rows = []
    for who, usages in used.items():
        cells = [f"{bytes_(usage.memory)}, {usage.threads}, {usage.descriptors}" for usage in usages]
        rows.append((who.title, *cells, *[f"gave up after {_PATIENCE:.0f} s"] * (len(_COUNTS) - len(cells))))
    each = {who: _each(usages) for who, usages in used.items()}
    return Section(
        "Memory and threads",
        "Private memory, threads and descriptors that 1, 10 and 100 settings objects add to the process after its "
        "imports. Each object has 10 fields, and all follow one volume. Until now, a further object of liveconfig held "
        "33 KiB. As tracemalloc counts, it holds 23.7 KiB in place of 40.5: what the sources saw, which is the whole "
        "environment, is dropped after the first load (7.3 KiB with an environment of 1.4, more with a larger one); "
        "queues that are mostly empty are lists in place of deques, each of which has 64 places (4.8); a call that "
        "holds its object weakly is one object in place of four (2.6); there is no copy of the configuration of the "
        "class (1.5).",
        [Table(("", *(f"{count} object{'s' * (count > 1)}" for count in _COUNTS)), rows)],
        [chart("memory", "Memory for each further settings object", each, bytes_)],
        promises=_footprint(bench),
        losses=behind(each, "Memory for a further settings object", bytes_, _BECAUSE),
    )


def _footprint(bench: Bench) -> list[Promise]:
    """What one object with many keys holds, beside a dictionary with the same values."""
    found = script("footprint", str(bench.directory), str(_KEYS))
    promises = []
    for shape, held in found.items():
        times = held["ours"] / held["alone"]
        what = f"memory for {_KEYS:,} keys, {_SHAPES[shape]}, beside the values alone"
        measured = f"{times:.1f} times ({bytes_(held['ours'])})"
        promises.append(Promise(what, "at most 2.0 times", measured, times <= 2.0, _WHY, _BEFORE[shape]))
    return promises


def _each(usages: list[Usage]) -> float:
    """What one more object takes, from the first to the most that there were."""
    return (usages[-1].memory - usages[0].memory) / (_COUNTS[len(usages) - 1] - _COUNTS[0])


def _grow(bench: Bench, contender: Contender) -> list[Usage]:
    usages = []
    volume = bench.volume(contender.shape, 10)
    with bench.process(contender) as process:
        process.ask("prepare", path=volume.path, names=volume.names)
        before = Usage.of(process.pid)
        process.ask("start")
        for count in _COUNTS:
            try:
                process.ask("grow", timeout=_PATIENCE, count=count)
            except (ContenderError, TooSlowError):
                break
            usages.append(Usage.of(process.pid) - before)
    return usages
