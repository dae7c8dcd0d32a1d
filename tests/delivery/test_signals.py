"""blinker's signals: for any settings object, under the rules that hold for subscribers."""

from __future__ import annotations

import gc
import logging
import threading

import pytest

from liveconfig import Rejected, Reloaded, Stale, signals

PATIENCE = 60.0


@pytest.fixture(autouse=True)
def nobody_listens():
    """No receiver stays connected after a test."""
    yield
    for signal in (signals.reloaded, signals.rejected, signals.stale):
        for receiver in list(signal.receivers_for(signals)):
            signal.disconnect(receiver)
        signal._clear_state()


class Receiver:
    """A receiver that keeps what it is given."""

    def __init__(self, act=lambda _: None):
        self.calls = []
        self._act = act

    def __call__(self, sender, event):
        self.calls.append((sender, event))
        self._act(event)

    def method(self, sender, event):
        self.calls.append((sender, event))
        self._act(event)

    @property
    def events(self):
        return [event for _, event in self.calls]


def swap(settings, volume, **values):
    volume.update({name: str(value) for name, value in values.items()})
    assert settings.live.reload()


def test_all_three(settings, volume):
    """The receiver is called as receiver(settings, event=event), of each kind of event."""
    receivers = {signal: Receiver() for signal in (signals.reloaded, signals.rejected, signals.stale)}
    for signal, receiver in receivers.items():
        signal.connect(receiver)
    swap(settings, volume, message="two")
    volume.update({"count": "many"})
    settings.live.reload()
    volume.write({"message": "two"})
    settings.live.reload()
    reloaded, rejected, stale = (receiver.calls for receiver in receivers.values())
    assert [type(event) for _, event in reloaded] == [Reloaded, Reloaded]
    assert [type(event) for _, event in rejected] == [Rejected]
    assert [type(event) for _, event in stale] == [Stale]
    assert all(sender is settings for sender, _ in [*reloaded, *rejected, *stale])


def test_sender(open_settings, volume):
    """A receiver that is connected to one sender is called only for that one."""
    one, other = open_settings(), open_settings()
    receiver = Receiver()
    signals.reloaded.connect(receiver, sender=one)
    volume.update({"message": "two"})
    one.live.reload()
    other.live.reload()
    assert [sender for sender, _ in receiver.calls] == [one]


def test_connect_via(settings, volume):
    """The decorator that Flask's users know works."""
    calls = []

    @signals.reloaded.connect_via(settings)
    def tell(sender, event):
        calls.append((sender, event))

    swap(settings, volume, message="two")
    assert [(sender is settings, event.version) for sender, event in calls] == [(True, 2)]


def test_after_the_subscribers(settings, volume):
    """Receivers are served after the subscribers."""
    order = []
    receiver = Receiver(lambda _: order.append("signal"))
    signals.reloaded.connect(receiver)
    settings.live.on_change("message")(lambda _: order.append("subscriber"))
    swap(settings, volume, message="two")
    assert order == ["subscriber", "signal"]


def test_bound_method(settings, volume):
    """E76: a bound method of a living object is called at each version, once."""
    receiver = Receiver()
    signals.reloaded.connect(receiver.method)
    swap(settings, volume, message="two")
    gc.collect()
    swap(settings, volume, message="three")
    assert [event.version for event in receiver.events] == [2, 3]


def test_receiver_dies(settings, volume):
    """E77: a receiver that was collected is not called, and does not affect others."""
    kept = Receiver()
    signals.reloaded.connect(kept)
    dies = Receiver()
    calls = dies.calls
    signals.reloaded.connect(dies)
    signals.reloaded.connect(dies.method)
    swap(settings, volume, message="two")
    del dies
    gc.collect()
    swap(settings, volume, message="three")
    assert len(calls) == 2
    assert len(kept.calls) == 2


def test_isolated(settings, volume):
    """A receiver that raises, even SystemExit, does not prevent the calls of others."""

    def fail(_):
        raise SystemExit

    bad, good = Receiver(fail), Receiver()
    signals.reloaded.connect(bad)
    signals.reloaded.connect(good)
    swap(settings, volume, message="two")
    swap(settings, volume, message="three")
    assert [event.version for event in good.events] == [2, 3]


def test_failing_is_seen(settings, volume):
    """E78: a receiver that raises is listed in status() and called again, and the settings are not healthy until then."""
    ill = [True]
    again = threading.Event()

    def act(_):
        if ill[0]:
            raise ConnectionError
        again.set()

    receiver = Receiver(act)
    signals.reloaded.connect(receiver)
    swap(settings, volume, message="two")
    status = settings.live.status()
    assert not status.healthy
    assert [(each.error, each.version) for each in status.subscribers] == [("ConnectionError", 1)]
    ill[0] = False
    assert again.wait(PATIENCE)
    settings.live.reload()
    assert settings.live.status().healthy


def test_receiver_that_fails_and_dies(settings, volume):
    """E79: a receiver that raised and is disconnected does not stand in status() for ever."""

    def fail(_):
        raise ConnectionError

    receiver = Receiver(fail)
    signals.reloaded.connect(receiver)
    swap(settings, volume, message="two")
    assert not settings.live.status().healthy
    signals.reloaded.disconnect(receiver)
    assert settings.live.status().healthy


def test_slow_receiver(settings, volume, gate):
    """A slow receiver gets its changes merged, and delays no other."""
    there = threading.Event()
    slow = Receiver(lambda _: (there.set(), gate.wait(PATIENCE)))
    fast = Receiver()
    signals.reloaded.connect(slow)
    signals.reloaded.connect(fast)
    volume.update({"message": "two"})
    settings.live.reload(wait=False)
    assert there.wait(PATIENCE)
    for message in ("three", "four"):
        swap(settings, volume, message=message)
    assert fast.events[-1].version == 4
    gate.set()
    done = threading.Event()
    settings.live.wait(lambda s: s.message == "four", PATIENCE)
    while len(slow.events) < 2:
        assert not done.wait(0.01)
    assert [(event.old.message, event.new.message) for event in slow.events] == [("one", "two"), ("two", "four")]


def test_coroutine_is_skipped(settings, volume, caplog):
    """A coroutine receiver is skipped and logged once."""

    async def receive(sender, event):
        raise AssertionError

    good = Receiver()
    signals.reloaded.connect(receive)
    signals.reloaded.connect(good)
    swap(settings, volume, message="two")
    swap(settings, volume, message="three")
    assert len(good.calls) == 2
    [record] = [r for r in caplog.records if "receive" in r.getMessage()]
    assert record.levelno == logging.ERROR
    assert "receive is a coroutine function and is skipped" in record.getMessage()
    assert "subscribe it with `settings.live`" in record.getMessage()
    names = [each.name.rpartition(".")[2] for each in settings.live.status().subscribers]
    assert names == ["receive", "Receiver"]


class Awaitable:
    """Something to await that is no coroutine."""

    def __await__(self):
        raise AssertionError


@pytest.mark.parametrize("what", ["a coroutine", "a future"])
def test_returns_an_awaitable(settings, volume, caplog, recwarn, what):
    """I02: a receiver that returns something to await is logged once, and nothing is left unawaited."""

    async def inner():
        raise AssertionError

    def receive(sender, event):
        return inner() if what == "a coroutine" else Awaitable()

    signals.reloaded.connect(receive)
    swap(settings, volume, message="two")
    swap(settings, volume, message="three")
    [record] = [r for r in caplog.records if "receive is a coroutine function and is skipped" in r.getMessage()]
    assert record.levelno == logging.ERROR
    gc.collect()
    assert not recwarn.list


def test_disconnects_inside(settings, volume):
    """E80: a receiver that disconnects itself inside its call is not called again."""
    receiver = Receiver(lambda _: signals.reloaded.disconnect(receiver))
    signals.reloaded.connect(receiver)
    swap(settings, volume, message="two")
    swap(settings, volume, message="three")
    assert len(receiver.calls) == 1


def test_connected_later(settings, volume):
    """A receiver that connects later gets the next version, with the version before as old."""
    swap(settings, volume, message="two")
    receiver = Receiver()
    signals.reloaded.connect(receiver)
    swap(settings, volume, message="three")
    (event,) = receiver.events
    assert (event.old.message, event.new.message) == ("two", "three")


def test_connected_before_a_rejection(settings, volume):
    """A receiver that connects gets no earlier version, even if another event is delivered."""
    reloaded, rejected = Receiver(), Receiver()
    swap(settings, volume, message="two")
    signals.reloaded.connect(reloaded)
    signals.rejected.connect(rejected)
    volume.update({"count": "many"})
    assert not settings.live.reload()
    assert [type(event) for event in rejected.events] == [Rejected]
    assert reloaded.events == []


def test_muted(settings, volume):
    """E81: a muted signal calls no receiver, as in blinker."""
    receiver = Receiver()
    signals.reloaded.connect(receiver)
    with signals.reloaded.muted():
        swap(settings, volume, message="two")
    swap(settings, volume, message="three")
    assert [event.version for event in receiver.events] == [3]


def test_reloads_inside(settings, volume):
    """E82: a receiver that reloads inside neither deadlocks nor recurses."""

    def act(event):
        if event.new.count < 4:
            volume.update({"count": str(event.new.count + 1)})
            assert settings.live.reload()

    receiver = Receiver(act)
    signals.reloaded.connect(receiver)
    swap(settings, volume, count=2)
    settings.live.wait(lambda s: s.count == 4, PATIENCE)
    settings.live.reload()  # a barrier: version 4 was current at this call
    assert [event.new.count for event in receiver.events] == [2, 3, 4]


def test_settings_are_let_go(open_settings, volume, settings):
    """E83: a receiver does not keep unreferenced settings alive."""
    import weakref

    receiver = Receiver()
    gone = type(settings).load(_volumes=volume.path)
    signals.reloaded.connect(receiver, sender=gone)
    reference = weakref.ref(gone)
    del gone
    gc.collect()
    assert reference() is None
