"""`recent`: the values of a field that were in use, for a limited time."""

from __future__ import annotations

import threading

import pytest

from liveconfig import LiveConfigError

PATIENCE = 30.0


def write(settings, volume, message):
    volume.update({"message": message})
    assert settings.live.reload()


def test_newest_first(settings, volume):
    """The first call has the present value; later ones those that replaced it, newest first."""
    assert settings.live.recent("message") == ("one",)
    write(settings, volume, "two")
    write(settings, volume, "three")
    assert settings.live.recent("message") == ("three", "two", "one")


def test_not_before_the_first_call(settings, volume):
    """A value that was replaced before the first call is not kept."""
    write(settings, volume, "two")
    assert settings.live.recent("message") == ("two",)


def test_distinct(settings, volume):
    """A value that comes back is listed once, at its newest place; other changes make no entry."""
    settings.live.recent("message")
    write(settings, volume, "two")
    volume.update({"count": "7"})
    assert settings.live.reload()
    write(settings, volume, "one")
    assert settings.live.recent("message") == ("one", "two")


def test_sixteen(settings, volume):
    """The newest 16 are kept, however often others come back."""
    settings.live.recent("message")
    for number in range(20):
        write(settings, volume, f"m{number}")
    assert settings.live.recent("message") == tuple(f"m{number}" for number in range(19, 3, -1))
    for number in (18, 19, 18, 19) * 5:
        write(settings, volume, f"m{number}")
    assert settings.live.recent("message") == tuple(f"m{number}" for number in range(19, 3, -1))


def test_within(settings, volume, move_clock):
    """A replaced value is kept until `within` seconds after its replacement, the one in use for ever."""
    assert settings.live.recent("message", within=60.0) == ("one",)
    move_clock(1000)
    write(settings, volume, "two")
    move_clock(50)
    write(settings, volume, "three")
    assert settings.live.recent("message", within=60.0) == ("three", "two", "one")
    move_clock(20)
    assert settings.live.recent("message", within=60.0) == ("three", "two")
    move_clock(1000)
    assert settings.live.recent("message", within=60.0) == ("three",)
    assert settings.live.recent("message", within=0) == ("three",)


def test_each_call_has_its_own_within(settings, volume, move_clock):
    """The most patient request decides how long values are kept, each call what it is given."""
    settings.live.recent("message", within=60.0)
    settings.live.recent("message")
    write(settings, volume, "two")
    move_clock(100)
    assert settings.live.recent("message", within=60.0) == ("two",)
    assert settings.live.recent("message") == ("two", "one")


def test_a_selector_is_known_by_its_identity(settings, volume):
    """The same function has its own memory; another one with the same code begins anew."""

    def select(s):
        return s.message, s.count

    assert settings.live.recent(select) == (("one", 1),)
    write(settings, volume, "two")
    assert settings.live.recent(select) == (("two", 1), ("one", 1))
    assert settings.live.recent(lambda s: (s.message, s.count)) == (("two", 1),)


def test_a_bound_method_is_the_same_each_time(settings, volume):
    """A method is known by its object and its function: it is a new object at each look-up."""

    class Chooses:
        def key(self, s):
            return s.message

    chooses = Chooses()
    settings.live.recent(chooses.key)
    write(settings, volume, "two")
    assert settings.live.recent(chooses.key) == ("two", "one")


def test_too_many_selectors(settings):
    """The 33rd distinct selector is an error that says what to do; fields and known selectors still work."""
    selectors = [lambda s: s.message for _ in range(33)]
    for select in selectors[:32]:
        assert settings.live.recent(select) == ("one",)
    with pytest.raises(LiveConfigError, match="define the selector once"):
        settings.live.recent(selectors[32])
    assert settings.live.recent(selectors[0]) == settings.live.recent("message") == ("one",)


def test_wrong_arguments(settings):
    """A field that does not exist, a length of time that is none, and what is no selector are errors."""
    with pytest.raises(LiveConfigError, match="mesage"):
        settings.live.recent("mesage")
    for within in (-1, float("nan")):
        with pytest.raises(LiveConfigError, match="within"):
            settings.live.recent("message", within=within)
    with pytest.raises(TypeError):
        settings.live.recent(5)


def test_there_as_soon_as_the_value_is(settings, volume):
    """After a wait for a value, it is found, and the one before it."""
    settings.live.recent("message")
    for number in range(30):
        volume.update({"message": str(number)})
        settings.live.wait(lambda s, text=str(number): s.message == text, PATIENCE)
        assert settings.live.recent("message")[0] == str(number)


def test_every_version_is_seen(settings, volume):
    """No version is left out, even if several come between two calls while a subscriber is slow."""
    settings.live.recent("message")
    inside, go = threading.Event(), threading.Event()

    @settings.live.on_change("count")
    def slow(_):
        inside.set()
        go.wait(PATIENCE)

    volume.update({"count": "2"})
    settings.live.reload(wait=False)
    assert inside.wait(PATIENCE)
    for number in range(5):
        volume.update({"message": f"m{number}"})
        assert settings.live.reload(wait=False)
    go.set()
    assert settings.live.recent("message") == ("m4", "m3", "m2", "m1", "m0", "one")


def test_a_selector_that_raises(settings, volume, caplog):
    """A selector that raises counts as no change, and is logged without its message."""

    def select(s):
        if s.message == "two":
            raise ValueError(s.message)
        return s.message

    settings.live.recent(select)
    write(settings, volume, "two")
    write(settings, volume, "three")
    assert settings.live.recent(select) == ("three", "one")
    assert "App: the selector" in caplog.text
    assert "raised ValueError; this version counts as no change" in caplog.text


def test_threads(settings, volume):
    """Several threads that ask while the volume moves on get values in their order."""
    settings.live.recent("message")
    stop, wrong = threading.Event(), []

    def ask():
        while not stop.is_set():
            numbers = [int(value) for value in settings.live.recent("message") if value != "one"]
            if numbers != sorted(numbers, reverse=True):
                wrong.append(numbers)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(100):
        write(settings, volume, str(number))
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert wrong == []
    assert settings.live.recent("message") == tuple(str(number) for number in range(99, 83, -1))
