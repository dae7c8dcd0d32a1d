"""`Recovered`: the end of a rejection is published, after the version that ended it."""

from __future__ import annotations

import logging
import threading

import pytest

from liveconfig import Recovered, Rejected, Reloaded, signals
from liveconfig.testing import recorded

PATIENCE = 60.0


@pytest.fixture
def settings(open_settings):
    """Settings that are read only at `reload`."""
    return open_settings(_watch=False)


def swap(settings, volume, **values):
    volume.update({name: str(value) for name, value in values.items()})
    return settings.live.reload()


def test_applied_content_is_back(settings, volume, caplog):
    """S02: a bad value, then the applied content again: one Recovered, one INFO line, and no new version."""
    caplog.set_level(logging.INFO, "liveconfig")
    with recorded(settings) as events:
        assert not swap(settings, volume, count="many")
        assert not settings.live.reload()
        assert swap(settings, volume, count="1")
        assert settings.live.reload()
    rejected, recovered = events
    assert isinstance(rejected, Rejected)
    assert isinstance(recovered, Recovered)
    assert (recovered.version, recovered.after.at, recovered.after.attempt) == (1, rejected.at, 2)
    assert recovered.generations == {str(volume.path): volume.generation}
    assert settings.live.status().healthy
    lines = [record for record in caplog.records if "recovered" in record.getMessage()]
    assert [(record.levelno, record.getMessage().split(":")[0]) for record in lines] == [(logging.INFO, "App")]


def test_new_content(settings, volume):
    """S02: new good content ends a rejection; Recovered comes after the Reloaded that ended it, in any order of subscription."""
    order = []
    settings.live.on_recover(order.append)
    settings.live.on_reload(order.append)
    assert not swap(settings, volume, count="many")
    assert swap(settings, volume, count="3")
    assert [type(event) for event in order] == [Reloaded, Recovered]
    assert order[1].version == order[0].version == 2


def test_attempts(settings, volume):
    """S05: the event says attempt 1; the status and Recovered.after carry the present count."""
    with recorded(settings) as events:
        assert not swap(settings, volume, count="many")
        assert not settings.live.reload()
        assert not settings.live.reload()
        status = settings.live.status()
        assert status.last_rejected.attempt == 3
        assert status.candidate.attempt == 3
        assert swap(settings, volume, count="2")
    assert events[0].attempt == 1
    assert events[-1].after.attempt == 3
    assert settings.live.status().last_rejected.attempt == 3


def test_attempts_of_a_verifier(settings, volume):
    """S05: the attempts of a verifier are counted too."""
    settings.live.verify()(lambda _: False)
    assert not swap(settings, volume, count="2")
    for _ in range(3):
        assert not settings.live.reload()
    assert settings.live.status().last_rejected.attempt == 4


def test_other_bad_content(settings, volume):
    """S02: a rejection that other bad content of the same volume replaces has not recovered."""
    with recorded(settings) as events:
        assert not swap(settings, volume, count="many")
        assert not swap(settings, volume, count="more")
        assert swap(settings, volume, count="2")
    assert [type(event) for event in events] == [Rejected, Rejected, Reloaded, Recovered]
    assert events[-1].after == events[1]


def test_undecided_content(settings, volume, gate):
    """S02: a rejection has not ended while a verifier checks the content that replaces it."""
    inside = threading.Event()

    @settings.live.verify()
    def check(_):
        inside.set()
        return gate.wait(PATIENCE)

    with recorded(settings) as events:
        assert not swap(settings, volume, count="many")
        volume.update({"count": "2"})
        assert not settings.live.reload(wait=False)
        assert inside.wait(PATIENCE)
        assert [type(event) for event in events] == [Rejected]
        gate.set()
        assert settings.live.reload()
    assert [type(event) for event in events] == [Rejected, Reloaded, Recovered]


def test_unreadable_volume(settings, volume):
    """S02: a volume that disappears and comes back as it was has recovered."""
    with recorded(settings) as events:
        away = volume.path.with_name("away")
        volume.path.rename(away)
        while not settings.live.status().last_rejected:
            settings.live.reload()
        away.rename(volume.path)
        assert settings.live.reload()
    assert [(type(event)) for event in events] == [Rejected, Recovered]
    assert events[1].after.stage == "read"


def test_signal(settings, volume):
    """S02: the signal `recovered` is sent too, with the settings as sender."""
    heard = []

    def receiver(sender, event):
        heard.append((sender, event.after.stage))

    with signals.recovered.connected_to(receiver, sender=settings):
        assert not swap(settings, volume, count="many")
        assert swap(settings, volume, count="1")
    assert heard == [(settings, "validate")]


def test_subscribe(settings, volume, recorder):
    """`subscribe(Recovered, ...)` can be cancelled, and a subscriber that raises is called again."""
    heard = recorder()
    subscription = settings.live.subscribe(Recovered, heard)
    assert not swap(settings, volume, count="many")
    assert swap(settings, volume, count="1")
    subscription.cancel()
    assert not swap(settings, volume, count="many")
    assert swap(settings, volume, count="1")
    assert len(heard.events) == 1


def test_slow_reloaded(settings, volume, gate):
    """A subscriber that hangs at the Reloaded does not keep Recovered from the others."""
    recovered = threading.Event()
    settings.live.on_reload(lambda _: gate.wait(PATIENCE))
    settings.live.on_recover(lambda _: recovered.set())
    assert not swap(settings, volume, count="many")
    volume.update({"count": "2"})
    settings.live.reload(wait=False)
    assert recovered.wait(PATIENCE)
