"""Two settings classes write into one log."""

from __future__ import annotations

import logging

from liveconfig import Settings


class Shop(Settings):
    limit: int = 1


class Pool(Settings):
    limit: int = 1


def test_each_line_names_its_class(kubelet_volume, load, caplog):
    """S06: of two classes on one volume, each line on a change, a rejection and a recovery begins with its class."""
    kubelet_volume.write({"limit": "1"})
    both = [load(cls, _volumes=kubelet_volume.path, _watch=False) for cls in (Shop, Pool)]
    with caplog.at_level(logging.INFO, "liveconfig"):
        for text in ("2", "many", "2"):
            kubelet_volume.update({"limit": text})
            for settings in both:
                settings.live.reload()
    lines = [record.getMessage() for record in caplog.records if record.name == "liveconfig"]
    for name in ("Shop: ", "Pool: "):
        own = [line for line in lines if line.startswith(name)]
        assert [any(word in line for line in own) for word in ("applied", "rejected", "recovered")] == [True] * 3
    assert all(line.startswith(("Shop: ", "Pool: ")) for line in lines)
