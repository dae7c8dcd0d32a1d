"""The time from the kubelet's write of a change until it was applied."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest

from liveconfig import Settings, SettingsConfigDict, processes
from liveconfig.testing import KubeletVolume

PATIENCE = 60.0
LONG = 100_000.0
SHORT = timedelta(seconds=PATIENCE)


class App(Settings):
    model_config = SettingsConfigDict(resync=3600.0, watch=False)
    message: str = "default"
    number: int = 0


def write(volume: KubeletVolume, content: dict[str, str], *, ago: float = 0.0) -> None:
    """Write a generation; the kubelet wrote it so many seconds ago."""
    for step in volume.steps(content):
        if step == "rename" and ago:
            folder = volume.path / volume.generation
            at = folder.stat().st_mtime - ago
            os.utime(folder, (at, at))


def delay(settings: App) -> timedelta | None:
    return settings.live.status().written_to_applied


@pytest.fixture
def other(tmp_path: Any) -> KubeletVolume:
    """A volume beside ``kubelet_volume``."""
    return KubeletVolume(tmp_path / "other")


def test_before_the_first_change(kubelet_volume: KubeletVolume, load: Any) -> None:
    """There is none before the first change, however old the first generation is."""
    write(kubelet_volume, {"message": "one"}, ago=LONG)
    settings = load(App, _volumes=kubelet_volume.path)
    assert delay(settings) is None
    write(kubelet_volume, {"message": "two"})
    assert settings.live.reload()
    assert delay(settings) is not None
    assert delay(settings) < SHORT


def test_a_plain_volume(kubelet_volume: KubeletVolume, tmp_path: Any, load: Any) -> None:
    """A change of a plain volume has none, whatever stands beside it."""
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "number").write_text("1")
    write(kubelet_volume, {"message": "one"}, ago=LONG)
    settings = load(App, _volumes=[kubelet_volume.path, tmp_path / "plain"])
    (tmp_path / "plain" / "number").write_text("23")
    assert settings.live.reload()
    assert (settings.number, delay(settings)) == (23, None)
    write(kubelet_volume, {"message": "two"})
    assert settings.live.reload()
    assert delay(settings) < SHORT


def test_a_change_that_was_held_back(kubelet_volume: KubeletVolume, other: KubeletVolume, load: Any) -> None:
    """A change that a verifier held back counts from its own write, not from that of another volume applied meanwhile."""
    write(kubelet_volume, {"message": "one"})
    write(other, {"number": "1"})
    settings = load(App, _volumes=[kubelet_volume.path, other.path])
    verdicts = [False]
    settings.live.verify(on="message")(lambda _: verdicts[0])
    write(kubelet_volume, {"message": "two"}, ago=LONG)
    write(other, {"number": "2"})
    assert not settings.live.reload()
    assert (settings.message, settings.number) == ("one", 2)
    assert delay(settings) < SHORT
    verdicts[0] = True
    assert settings.live.reload()
    assert settings.message == "two"
    assert delay(settings) >= timedelta(seconds=LONG)


def test_several_volumes_at_once(kubelet_volume: KubeletVolume, other: KubeletVolume, load: Any) -> None:
    """Of several volumes that are applied together, the one that was written first counts."""
    write(kubelet_volume, {"message": "one"})
    write(other, {"number": "1"})
    settings = load(App, _volumes=[kubelet_volume.path, other.path])
    write(kubelet_volume, {"message": "two"}, ago=LONG)
    write(other, {"number": "2"})
    assert settings.live.reload()
    assert (settings.message, settings.number) == ("two", 2)
    assert delay(settings) >= timedelta(seconds=LONG)


def test_a_forked_child(kubelet_volume: KubeletVolume, load: Any) -> None:
    """A forked child has none, in its report too, before it applies a change that was written since the fork."""
    write(kubelet_volume, {"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    verdicts = [False]
    settings.live.verify(on="number")(lambda _: verdicts[0])
    write(kubelet_volume, {"message": "two"})
    assert settings.live.reload()
    write(kubelet_volume, {"message": "two", "number": "1"}, ago=LONG)  # it waits when the child is forked
    assert not settings.live.reload()
    child = os.fork()
    if not child:
        code = 1
        try:
            [process] = processes(os.getpid())
            before = [delay(settings), *(each.apply_delay for each in process.settings if each.volumes)]
            verdicts[0] = True
            applied = settings.live.reload()
            before.append(delay(settings))
            write(kubelet_volume, {"message": "three", "number": "1"})
            applied = applied and settings.live.reload()
            code = 0 if applied and set(before) == {None} and delay(settings) is not None else 1
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert delay(settings) is not None
