"""Whether a configuration that is read while the volume is swapped is ever made of two generations."""

from __future__ import annotations

from benchmarks._bench import Bench
from benchmarks._result import Section, Table
from benchmarks.contenders import Contender

__all__ = ["run"]


def run(bench: Bench) -> Section:
    """6 keys that always hold one value, swapped as fast as it goes, while the contender reads all of them."""
    rows = []
    for contender in bench.contenders:
        counts = _churn(bench, contender, seconds=1.0 if bench.quick else 4.0)
        rows.append(
            (
                contender.title,
                f"{counts['swaps']:,}",
                f"{counts['reads']:,}",
                f"{counts['values']:,}",
                f"{counts['mixed']:,}",
                f"{counts['failed']:,}",
            )
        )
    return Section(
        "Mixed snapshots while the volume changes",
        "In every generation, 6 keys hold the same value. The writer swaps as fast as it can, while a thread reads "
        "whole configurations. Mixed: two generations in one configuration. Failed: the read raised, because a key "
        "was missing for a moment. Contenders with one document cannot mix, because they read one file.",
        [Table(("", "swaps", "reads", "generations seen", "mixed", "failed"), rows)],
    )


def _churn(bench: Bench, contender: Contender, seconds: float) -> dict[str, int]:
    with bench.started([contender], 6) as [(process, volume)]:
        process.send("churn", seconds=seconds)
        swaps = 0
        while not process.answered():
            swaps += 1
            volume.set_all(str(swaps))
        return {**process.receive(), "swaps": swaps}
