"""`recorded`: what happened, as a list."""

from __future__ import annotations

import pytest

from liveconfig import LiveConfigError, Recovered, Rejected, Reloaded, Settings, Stale
from liveconfig.testing import override, recorded


class App(Settings):
    message: str = "hello"
    count: int = 0


@pytest.fixture
def volume(kubelet_volume):
    kubelet_volume.write({"message": "one", "count": "1"})
    return kubelet_volume


@pytest.fixture
def settings(load, volume):
    return load(App, _volumes=[volume.path])


def test_filled_when_reload_returns(settings, volume):
    """The list holds what happened as soon as `reload` returns."""
    with recorded(settings) as events:
        assert events == []
        volume.update({"message": "two"})
        assert settings.live.reload()
        [event] = events
        assert isinstance(event, Reloaded)
        assert (event.version, [change.field for change in event.changes]) == (2, ["message"])


@pytest.mark.parametrize("context", [override, recorded])
def test_what_is_not_live(settings, context):
    """A class, or something else in place of settings, is a TypeError that names it; a snapshot is an error, too."""
    for wrong, found in ((App, "the class App"), ({}, "dict")):
        with pytest.raises(TypeError, match=f"expected live settings.* found {found}"), context(wrong):
            pass
    with pytest.raises(LiveConfigError, match="snapshot"), context(settings.live.snapshot()):
        pass


def test_filled_by_an_override(settings):
    """The list holds the coming and the going of an override, too."""
    with recorded(settings) as events:
        with override(settings, message="mine"):
            assert [event.new.message for event in events] == ["mine"]
        assert [event.new.message for event in events] == ["mine", "one"]


def test_each_kind_in_its_order(settings, volume):
    """Reloaded, Rejected, Recovered and Stale are all there, each kind in its order."""
    with recorded(settings) as events:
        for count in ("2", "many", "3", "more", "4"):
            volume.update({"count": count})
            settings.live.reload()
        volume.remove("count")
        settings.live.reload()
    types = (Reloaded, Rejected, Recovered, Stale)
    kinds = {kind: [event for event in events if isinstance(event, kind)] for kind in types}
    assert [event.version for event in kinds[Reloaded]] == [2, 3, 4, 5]
    assert [event.fields for event in kinds[Rejected]] == [("count",), ("count",)]
    assert [event.version for event in kinds[Recovered]] == [3, 4]
    assert [event.after.at for event in kinds[Recovered]] == [event.at for event in kinds[Rejected]]
    assert [(event.field, event.reason) for event in kinds[Stale]] == [("count", "vanished")]
    assert len(events) == 9


def test_nested(settings, volume):
    """Each of two lists holds what happened while its own `with` lasted."""
    with recorded(settings) as outer:
        with recorded(settings) as inner:
            volume.update({"count": "2"})
            settings.live.reload()
        volume.update({"count": "3"})
        settings.live.reload()
    assert [event.version for event in inner] == [2]
    assert [event.version for event in outer] == [2, 3]


def test_nothing_after(settings, volume):
    """After the `with`, also one that was left by an exception, nothing more is recorded."""
    with pytest.raises(ZeroDivisionError), recorded(settings) as events:
        raise ZeroDivisionError
    volume.update({"count": "2"})
    assert settings.live.reload()
    assert events == []
    assert settings.live.status().subscribers == ()


def test_no_value_in_the_repr(settings, volume, canary):
    """F61: the list as a failing assertion shows it holds no value."""
    with recorded(settings) as events:
        volume.update({"message": canary})
        settings.live.reload()
        volume.update({"count": canary})
        settings.live.reload()
    assert len(events) == 2
    assert canary not in repr(events)


def test_closed_settings(settings, volume):
    """On settings that are closed, what a reload by hand did is recorded."""
    settings.live.close()
    with recorded(settings) as events:
        volume.update({"count": "2"})
        assert settings.live.reload()
    assert [event.version for event in events] == [2]


def test_a_snapshot(settings):
    """A snapshot has no events to record."""
    with pytest.raises(LiveConfigError), recorded(settings.live.snapshot()):
        pytest.fail("it was taken")
