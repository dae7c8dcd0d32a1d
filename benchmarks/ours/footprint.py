"""The memory of 10,000 keys, beside the values alone: PATH KEYS."""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from pathlib import Path

from benchmarks._volumes import Volume
from benchmarks.contenders.liveconfig import Adapter as KeysAdapter
from benchmarks.contenders.liveconfig_document import Adapter as DocumentAdapter


def main() -> None:
    directory, count = Path(sys.argv[1]), int(sys.argv[2])
    print(json.dumps({shape: _measure(directory / shape, shape, count) for shape in ("keys", "json")}))


def _measure(path: Path, shape: str, count: int) -> dict[str, int]:
    """The bytes that one settings object holds after a reload, and those of a dictionary with the same values."""
    volume = Volume(path, shape, count)
    adapter = {"keys": KeysAdapter, "json": DocumentAdapter}[shape](volume.path, volume.names)
    volume.set_all("the length of a usual value")
    tracemalloc.start()
    adapter.load()
    volume.set_first("another")
    adapter.settings.live.reload()
    ours = _held()
    values = {name: f"the length of a usual value {number}" for number, name in enumerate(volume.names)}
    alone = _held() - ours
    tracemalloc.stop()
    assert len(values) == count
    return {"ours": ours, "alone": alone}


def _held() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


if __name__ == "__main__":
    main()
