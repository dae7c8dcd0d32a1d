"""What depends on the content alone is computed once for a version, not at each status."""

from __future__ import annotations

import sys
from typing import Any

from pydantic import create_model

from liveconfig import Settings, Status


def _calls(status: Any) -> tuple[int, Status]:
    """The number of Python functions that a status calls."""
    count = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        found = status()
    finally:
        sys.setprofile(None)
    return count, found


def test_a_status_costs_the_same_whatever_the_volume_holds(kubelet_volume, load):
    """I05: a second status calls no more functions with 200 keys that feed nothing than with none."""
    model: Any = create_model("Many", __base__=Settings, **{f"field_{n}": (int, n) for n in range(300)})
    kubelet_volume.write({f"field_{n}": "1" for n in range(300)})
    live = load(model, _volumes=kubelet_volume.path, _watch=False).live
    live.status()
    few, found = _calls(live.status)
    assert found.unused_keys == ()
    kubelet_volume.update({f"feild_{n}": "1" for n in range(200)})
    live.reload()
    first, _ = _calls(live.status)
    many, found = _calls(live.status)
    assert len(found.unused_keys) == 200
    assert many <= few + 10 < first
