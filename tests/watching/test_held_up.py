"""A call that does not return, of a validator or a log handler, holds up its own settings object and no other."""

from __future__ import annotations

import logging
import threading
import time

import pytest
from pydantic import field_validator
from watchdog.observers.inotify_c import InotifyFD

from liveconfig import Settings, SettingsConfigDict
from liveconfig._watching import scheduler

PATIENCE = 30.0


class App(Settings):
    model_config = SettingsConfigDict(resync=0.3)
    message: str = "default"
    number: int = 0


class Still(App):
    """Its re-check never comes."""

    model_config = SettingsConfigDict(resync=3600.0)


@pytest.fixture
def hang(gate, load, make_kubelet_volume):
    """A function that makes a settings object and has its validator hang on the scheduler thread."""

    def hang(name="hanging", base=App):
        inside = threading.Event()

        class Hanging(base):
            @field_validator("message")
            @classmethod
            def check(cls, value):
                if value == "hang":
                    inside.set()
                    gate.wait(2 * PATIENCE)
                return value

        volume = make_kubelet_volume(name)
        volume.write({"message": "one"})
        settings = load(Hanging, _volumes=volume.path)
        volume.write({"message": "hang"})
        assert inside.wait(PATIENCE)
        return settings

    return hang


class TestValidator:
    @pytest.mark.usefixtures("inotify")
    def test_others_follow_by_event(self, kubelet_volume, load, hang, gate):
        """G02: while a validator hangs other objects follow by event, those that are loaded then too."""
        kubelet_volume.write({"message": "one"})
        before = load(Still, _volumes=kubelet_volume.path)
        hanging = hang(base=Still)
        after = load(Still, _volumes=kubelet_volume.path)
        for message in ("two", "three"):
            kubelet_volume.write({"message": message})
            for settings in (before, after):
                settings.live.wait(lambda s, message=message: s.message == message, PATIENCE)
        assert [settings.live.status().watcher for settings in (before, after)] == ["inotify"] * 2
        assert before.live.status().healthy
        assert hanging.message == "one"

    def test_others_follow_by_re_check(self, kubelet_volume, load, hang, monkeypatch):
        """G02: while a validator hangs other objects are re-checked, if every event is lost too."""
        kubelet_volume.write({"message": "one"})
        settings = load(App, _volumes=kubelet_volume.path)
        hang()
        monkeypatch.setattr(InotifyFD, "handle_event", lambda reader, event: None)
        for message in ("two", "three", "four"):
            kubelet_volume.write({"message": message})
            settings.live.wait(lambda s, message=message: s.message == message, PATIENCE)

    def test_time_outs_hold(self, kubelet_volume, load, hang, gate):
        """G02: while a validator hangs a verifier's time-out and the rule for slow subscribers hold elsewhere."""
        kubelet_volume.write({"message": "one"})
        settings = load(Still, _volumes=kubelet_volume.path)
        hang(base=Still)
        rejected, told = threading.Event(), threading.Event()
        settings.live.on_reject(lambda _: rejected.set())
        settings.live.on_change("message")(lambda _: gate.wait(2 * PATIENCE))
        settings.live.on_change("message")(lambda _: told.set())
        kubelet_volume.write({"message": "two"})
        assert told.wait(PATIENCE)
        settings.live.add_verifier(lambda _: gate.wait(2 * PATIENCE), timeout=0.2)
        kubelet_volume.write({"message": "three"})
        assert rejected.wait(PATIENCE)

    def test_status(self, hang, gate, until):
        """G02: the settings whose validator hangs say so within one re-check, and are well again when it returns."""
        settings = hang()
        until(lambda: any("has been running for" in problem for problem in settings.live.status().problems))
        assert settings.message == "one"
        gate.set()
        settings.live.wait(lambda s: s.message == "hang", PATIENCE)
        until(lambda: settings.live.status().healthy)

    def test_a_swap_meanwhile(self, hang, gate, load, make_kubelet_volume):
        """G02: what is swapped while a validator hangs is applied as soon as it returns, without a re-check."""
        settings, volume = hang(base=Still), make_kubelet_volume("hanging")
        other = load(Still, _volumes=volume.path)
        volume.write({"message": "two"})
        other.live.wait(lambda s: s.message == "two", PATIENCE)  # so the event has found the first look running, before
        gate.set()
        settings.live.wait(lambda s: s.message == "two", PATIENCE)

    def test_reported(self, hang, gate, monkeypatch, caplog, until):
        """G02: a look that has been running for 30 s (here less) is logged once, with the class and what to look for."""
        monkeypatch.setattr(scheduler, "LONG", 0.6)
        hang()
        until(lambda: "does not return" in caplog.text)
        pause = threading.Event()
        pause.wait(1.0)
        [line] = [record for record in caplog.records if "does not return" in record.getMessage()]
        assert line.levelno == logging.WARNING
        assert line.getMessage().startswith("Hanging: ")
        assert "a validator" in line.getMessage()

    def test_many(self, kubelet_volume, load, hang, gate, until):
        """G02: ten objects whose validators hang cost a thread each, no more, and hold up no other."""
        kubelet_volume.write({"message": "one"})
        settings = load(Still, _volumes=kubelet_volume.path)
        threads = threading.active_count()
        for number in range(10):
            hang(f"hanging{number}")
        kubelet_volume.write({"message": "two"})
        settings.live.wait(lambda s: s.message == "two", PATIENCE)
        most = threads + 10 + 2  # delivery ends
        until(lambda: threading.active_count() <= most)
        pause = threading.Event()
        pause.wait(1.5)  # five re-checks
        assert threading.active_count() <= most
        gate.set()
        until(lambda: threading.active_count() <= threads + 1)

    def test_closed_meanwhile(self, hang, gate, until):
        """G02: an object whose validator hangs closes in bounded time, and one thread stays until it returns."""
        threads = threading.active_count()
        settings = hang()
        began = time.monotonic()
        settings.live.close()
        assert time.monotonic() - began < 5
        assert threading.active_count() == threads + 1
        gate.set()
        until(lambda: threading.active_count() == threads)


class TestLogHandler:
    @pytest.fixture
    def blocked(self, gate):
        """A handler of the log that does not return from the first rejection on."""

        class Blocked(logging.Handler):
            inside = threading.Event()

            def emit(self, record):
                if record.levelno == logging.ERROR:
                    self.inside.set()
                    gate.wait(2 * PATIENCE)

        handler = Blocked()
        logging.getLogger("liveconfig").addHandler(handler)
        yield handler
        gate.set()
        logging.getLogger("liveconfig").removeHandler(handler)

    def test_others_follow(self, make_kubelet_volume, load, blocked):
        """G02: while a log handler hangs, every object follows, and every subscriber is called."""

        class Strict(App):
            number: int = 0

        first, second = make_kubelet_volume("first"), make_kubelet_volume("second")
        first.write({"number": "1"})
        second.write({"message": "one"})
        bad, good = load(Strict, _volumes=first.path), load(App, _volumes=second.path)
        first.write({"number": "bad"})
        assert blocked.inside.wait(PATIENCE)
        told = threading.Event()
        good.live.on_change("message")(lambda change: told.set())
        second.write({"message": "two"})
        assert told.wait(PATIENCE)
        assert good.live.status().healthy
        first.write({"number": "2"})
        bad.live.wait(lambda s: s.number == 2, PATIENCE)

    def test_on_the_scheduler_thread(self, kubelet_volume, load, gate):
        """G02: a log handler that hangs inside a re-check holds up neither events nor the other objects."""
        kubelet_volume.write({"message": "one"})
        first = load(App, _volumes=kubelet_volume.path)
        inside = threading.Event()

        class Blocked(logging.Handler):
            def emit(self, record):
                if threading.current_thread().name.startswith("liveconfig"):
                    inside.set()
                    gate.wait(2 * PATIENCE)

        handler = Blocked()
        logging.getLogger("liveconfig").addHandler(handler)
        try:
            other = load(Still, _volumes=kubelet_volume.path)
            kubelet_volume.path.rename(kubelet_volume.path.with_name("away"))  # it goes missing: that is logged
            assert inside.wait(PATIENCE)
            kubelet_volume.path.with_name("away").rename(kubelet_volume.path)
            kubelet_volume.write({"message": "two"})
            for settings in (first, other):
                settings.live.wait(lambda s: s.message == "two", PATIENCE)
        finally:
            gate.set()
            logging.getLogger("liveconfig").removeHandler(handler)

    def test_inside_a_review(self, kubelet_volume, load, gate, monkeypatch):
        """G02: while a log handler hangs inside the review of a re-check, the next re-checks of the object find changes."""

        class Reminded(App):
            model_config = SettingsConfigDict(resync=0.2, stale_reminder=0.1)

        class Blocked(logging.Handler):
            inside = threading.Event()

            def emit(self, record):
                if threading.current_thread().name == "liveconfig" and not self.inside.is_set():
                    self.inside.set()
                    gate.wait(2 * PATIENCE)

        monkeypatch.setattr(InotifyFD, "handle_event", lambda reader, event: None)
        kubelet_volume.write({"message": "one"})
        monkeypatch.setenv("NUMBER", "5")  # reported as stale, and again and again
        handler = Blocked()
        logging.getLogger("liveconfig").addHandler(handler)
        try:
            settings = load(Reminded, _volumes=kubelet_volume.path)
            assert handler.inside.wait(PATIENCE)
            for message in ("two", "three", "four"):
                kubelet_volume.write({"message": message})
                settings.live.wait(lambda s, message=message: s.message == message, PATIENCE)
        finally:
            gate.set()
            logging.getLogger("liveconfig").removeHandler(handler)


def test_threads(make_kubelet_volume, load, until):
    """P8: one object costs four threads, and twenty on twenty volumes 23, while nothing happens."""
    before = threading.active_count()
    volumes = [make_kubelet_volume(f"volume{number}") for number in range(20)]
    for volume in volumes:
        volume.write({"message": "one"})
    load(Still, _volumes=volumes[0].path)
    until(lambda: threading.active_count() <= before + 4)
    several = [load(Still, _volumes=volume.path) for volume in volumes[1:]]
    for volume in volumes:
        volume.write({"message": "two"})
    for settings in several:
        settings.live.wait(lambda s: s.message == "two", PATIENCE)
    until(lambda: threading.active_count() <= before + 23)
