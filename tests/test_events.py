"""The records of what happened: frozen, whole, and silent about values."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from liveconfig import Change, LiveConfigError, Rejected, Reloaded, Settings, Stale
from liveconfig.testing import KubeletVolume, recorded


class App(Settings):
    message: str = ""
    count: int = 0
    password: SecretStr = SecretStr("")


@pytest.fixture
def settings(kubelet_volume):
    kubelet_volume.write({"message": "one", "password": "x"})
    settings = App(_volumes=kubelet_volume.path, _watch=False)
    yield settings
    settings.live.close()


@pytest.fixture
def events(settings, kubelet_volume):
    """One event of each kind, by its type."""
    changes = []
    settings.live.on_change("message")(changes.append)
    with recorded(settings) as events:
        kubelet_volume.write({"message": "two", "password": "x"})
        settings.live.reload()
        kubelet_volume.write({"message": "two", "password": "x", "count": "many"})
        settings.live.reload()
        kubelet_volume.write({"password": "x"})
        settings.live.reload()
    return {type(event): event for event in [*reversed(events), *reversed(changes)]}


KINDS = [Change, Reloaded, Rejected, Stale]


@pytest.mark.parametrize("kind", KINDS)
def test_frozen(events, kind):
    """Events are frozen, slotted dataclasses."""
    event = events[kind]
    assert dataclasses.is_dataclass(event)
    assert not hasattr(event, "__dict__")
    for field in dataclasses.fields(event):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(event, field.name, None)


@pytest.mark.parametrize("kind", KINDS)
def test_copied_and_sent(events, kind):
    """E112: an event can be copied, deeply too, and sent to another process."""
    event = events[kind]
    for other in (copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))):
        assert other == event
        assert repr(other) == repr(event)


def test_change(events):
    """A Change names its field and version, and holds both values."""
    event = events[Change]
    assert (event.field, event.old, event.new, event.version) == ("message", "one", "two", 2)
    assert repr(event) == "Change(field='message', version=2)"


def test_reloaded(events, settings, kubelet_volume):
    """A Reloaded holds both snapshots, the changes, the generations and the times, which are aware."""
    event = events[Reloaded]
    assert (event.old.message, event.new.message, event.version) == ("one", "two", 2)
    assert list(event.generations) == [str(kubelet_volume.path)]
    assert event.written_at is not None
    assert event.written_at.tzinfo is UTC
    assert event.applied_at.tzinfo is UTC
    assert timedelta(0) <= event.applied_at - event.written_at < timedelta(minutes=1)
    assert timedelta(0) <= event.duration < timedelta(minutes=1)
    assert "fields=('message',)" in repr(event)
    with pytest.raises(LiveConfigError):
        event.new.live.status()


def test_written_at_of_two_volumes(kubelet_volume, tmp_path, load):
    """A Reloaded of two volumes says when the newer of them was written, whichever that is."""
    other = KubeletVolume(tmp_path / "other")
    kubelet_volume.write({"message": "one"})
    other.write({"count": "1"})
    settings = load(App, _volumes=[kubelet_volume.path, other.path], _watch=False)
    for volume, key, at in ((other, "count", 3000), (kubelet_volume, "message", 5000), (other, "count", 4000)):
        for step in volume.steps({key: str(at)}):
            if step == "rename":
                os.utime(volume.path / volume.generation, (at, at))
        with recorded(settings) as events:
            assert settings.live.reload()
        newest = max((v.path / v.generation).stat().st_mtime for v in (kubelet_volume, other))
        assert events[0].written_at == datetime.fromtimestamp(newest, UTC)


def test_rejected(events):
    """A Rejected has the stage, the field, the reason, and the fields that wait."""
    event = events[Rejected]
    assert (event.stage, event.fields, event.held, event.attempt) == ("validate", ("count",), (), 1)
    assert "integer" in event.reason
    assert isinstance(event.at, datetime)


def test_stale(events):
    """A Stale names the field, what serves it now, and why."""
    event = events[Stale]
    assert (event.field, event.reason, event.origin.kind) == ("message", "vanished", "default")
    assert event.since.tzinfo is UTC


def test_same_event_for_all(settings, kubelet_volume):
    """E113: snapshots in events are those that `latest()` returns, not copies for each subscriber."""
    seen = []
    for _ in range(3):
        settings.live.on_reload(seen.append)
    kubelet_volume.write({"message": "two", "password": "x"})
    settings.live.reload()
    assert {id(event.new) for event in seen} == {id(settings.live.latest())}


def test_hashable(events):
    """I10: each event is a key of a dict, whatever its values are."""
    assert len(set(events.values())) == len(events)
    change = Change("tags", ["a"], {"b": [1]}, 2)
    assert hash(change) == hash(Change("tags", ["a"], {"b": [1]}, 2))
    assert hash(dataclasses.replace(events[Rejected], generations={"/etc/config": "..1"})) == hash(events[Rejected])


def test_equal_by_values(events):
    """Events of one kind are equal if all they hold is, and differ from everything else."""
    for event in events.values():
        assert event == copy.copy(event)
        assert event != "something else"
    assert Change("a", 1, 2, 3) == Change("a", 1, 2, 3)
    assert Change("a", 1, 2, 3) != Change("a", 1, 4, 3)
    assert Change("a", 1, 2, 3) != Change("a", 1, 2, 4)
    assert events[Reloaded] != dataclasses.replace(events[Reloaded], version=9)


COMPARED = """
import os

from liveconfig import Change

VALUE = os.environ["VALUE"]


def test_changes():
    one, other = Change("token", "old-" + VALUE, VALUE, 2), Change("token", "old-" + VALUE, "other-" + VALUE, 2)
    assert one == other


def test_lists():
    one, other = [Change("token", "", VALUE, 2)], [Change("token", "", "other-" + VALUE, 2)]
    assert one == other
"""


def test_compared_under_pytest(tmp_path, canary):
    """I06: pytest, which shows the fields of records that differ, shows no value of two changes."""
    (tmp_path / "test_compared.py").write_text(COMPARED)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-vv", "-p", "no:cacheprovider", "test_compared.py", "--tb=short"],
        cwd=tmp_path,
        env={**os.environ, "VALUE": canary},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "2 failed" in done.stdout
    assert canary not in done.stdout + done.stderr
