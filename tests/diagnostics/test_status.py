"""The status says what is in use and what is on disk, and is healthy only where they are the same."""

from __future__ import annotations

import json
import logging
import logging.config
import os
import threading
import time

import pytest
from pydantic import SecretStr

import liveconfig._clock
from liveconfig import HistoryEntry, Rejected, Settings, SettingsConfigDict, Stale
from liveconfig.testing import recorded

PATIENCE = 30.0


class App(Settings):
    model_config = SettingsConfigDict(resync=3600.0, documents=["app.yaml"])
    message: str = "default"
    number: int = 0
    token: SecretStr = SecretStr("none")


class Unwatched(App):
    model_config = SettingsConfigDict(watch=False)


def problem(settings):
    """The only problem of unhealthy settings."""
    status = settings.live.status()
    assert not status.healthy
    assert not settings.live.healthy
    (text,) = status.problems
    return text


# What is on disk is what is in use


def test_closed_and_the_volume_moved_on(kubelet_volume, load):
    """S03: a closed object is healthy until its volume has moved on, then not, and healthy again after `reload()`."""
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    settings.live.close()
    assert settings.live.status().healthy
    kubelet_volume.write({"message": "two"})
    assert "closed" in problem(settings)
    volume = settings.live.status().volumes[0]
    assert volume.generation_on_disk == kubelet_volume.generation != volume.generation_applied
    assert settings.live.reload()
    assert settings.live.status().healthy


def test_unwatched_and_the_volume_moved_on(kubelet_volume, load):
    """S03: an object that is not watched is healthy until its volume has moved on, then not."""
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path, _watch=False)
    assert settings.live.healthy
    kubelet_volume.write({"message": "two"})
    assert "`watch=False`" in problem(settings)
    assert "`reload()`" in problem(settings)


def test_unwatched_plain_directory(tmp_path, load):
    """S03: of a plain directory the content counts: files that are written anew as they were are no difference."""
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "message").write_text("one")
    settings = load(Unwatched, _volumes=plain)
    (plain / "message").write_text("one")
    assert settings.live.healthy
    (plain / "message").write_text("two")
    assert "nothing follows it" in problem(settings)


def test_unwatched_and_gone(kubelet_volume, load):
    """S03: a volume that disappears under an unwatched object makes it unhealthy."""
    kubelet_volume.write({"message": "one"})
    settings = load(Unwatched, _volumes=kubelet_volume.path)
    os.rename(kubelet_volume.path, f"{kubelet_volume.path}-away")
    assert str(kubelet_volume.path) in problem(settings)


def test_gone_at_the_first_look(kubelet_volume, load):
    """The first status after the volume of a closed object disappeared says so, and `reload()` adds no other text."""
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    settings.live.close()
    os.rename(kubelet_volume.path, f"{kubelet_volume.path}-away")
    text = f"volume {kubelet_volume.path}: the volume has disappeared"
    assert problem(settings) == text
    assert problem(settings) == text
    assert not settings.live.reload()
    assert "the volume has disappeared" in problem(settings)


def test_a_generation_that_cannot_be_read(kubelet_volume, load):
    """The status of an unwatched object names the generation on disk, also while it cannot be read."""
    kubelet_volume.write({"message": "one"})
    settings = load(Unwatched, _volumes=kubelet_volume.path)
    os.symlink("..not-there", kubelet_volume.path / "..data_new")
    os.rename(kubelet_volume.path / "..data_new", kubelet_volume.path / "..data")
    assert "'..data' or what it leads to is gone" in problem(settings)
    assert settings.live.status().volumes[0].generation_on_disk == "..not-there"


def test_written_all_the_time(tmp_path, load):
    """A plain volume that is being written has other content; nothing says that it does not answer."""
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "message").write_text("one")
    settings = load(Unwatched, _volumes=plain)
    begun, ended = threading.Event(), threading.Event()

    def write():
        while not ended.wait(0.005):
            (plain / "message").write_text(str(time.monotonic()))
            begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert begun.wait(PATIENCE)
    try:
        assert "other content is on the volume" in problem(settings)
    finally:
        ended.set()
        writer.join()


def test_a_rejection_is_one_problem(kubelet_volume, load):
    """A rejection of an unwatched object is reported once, together with newer content."""
    kubelet_volume.write({"number": "1"})
    settings = load(Unwatched, _volumes=kubelet_volume.path)
    kubelet_volume.write({"number": "many"})
    assert not settings.live.reload()
    assert "rejected at stage validate" in problem(settings)
    kubelet_volume.write({"number": "2"})
    assert len(settings.live.status().problems) == 2


def test_a_volume_that_does_not_answer(make_kubelet_volume, load, monkeypatch, until_ended):
    """A volume of a closed object whose mount hangs delays its status by 0.2 s at most, and is a problem since then."""
    hung, other = make_kubelet_volume("hung"), make_kubelet_volume("other")
    hung.write({"message": "one"})
    other.write({"number": "1"})
    settings = load(Unwatched, _volumes=[hung.path, other.path])
    answers, readlink = threading.Event(), os.readlink

    def hang(path, **options):
        if str(path).startswith(str(hung.path)):
            answers.wait(PATIENCE)
        return readlink(path, **options)

    threads = threading.active_count()
    with monkeypatch.context() as patch:
        patch.setattr(os, "readlink", hang)
        assert f"volume {hung.path}: it cannot be read since" in problem(settings)
        assert threading.active_count() == threads + 1  # a second status does not start a second look
        answers.set()
    until_ended("liveconfig-status")
    assert settings.live.status().healthy


@pytest.mark.parametrize("watch", [True, False])
def test_no_file_call_on_the_callers_thread(kubelet_volume, load, monkeypatch, watch):
    """`status()` makes no call with a path on the thread of the caller, whether the object is watched or not."""
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path, _watch=watch)
    settings.live.status()
    caller, calls = threading.current_thread(), []

    def counted(name, function):
        def call(*args, **options):
            if threading.current_thread() is caller:
                calls.append(name)
            return function(*args, **options)

        return call

    with monkeypatch.context() as patch:
        for name in ("readlink", "stat", "lstat", "open", "scandir", "listdir", "access"):
            patch.setattr(os, name, counted(name, getattr(os, name)))
        assert settings.live.status().healthy
        assert settings.live.healthy
    assert calls == []


def test_a_candidate_counts_after_two_seconds(kubelet_volume, load, move_clock, monkeypatch):
    """A watched object is healthy while a verifier has run for less than 2 s, an unwatched one is not."""
    kubelet_volume.write({"message": "one"})
    watched, unwatched = load(App, _volumes=kubelet_volume.path), load(Unwatched, _volumes=kubelet_volume.path)
    inside, go = threading.Semaphore(0), threading.Event()
    for settings in (watched, unwatched):

        @settings.live.verify(timeout=600.0)
        def check(_):
            inside.release()
            return go.wait(PATIENCE)

    before = liveconfig._clock.monotonic()
    kubelet_volume.write({"message": "two"})
    unwatched.live.reload(wait=False)
    assert all(inside.acquire(timeout=PATIENCE) for _ in range(2))
    try:
        assert not unwatched.live.healthy
        with monkeypatch.context() as patched:
            patched.setattr(liveconfig._clock, "monotonic", lambda: before)
            assert watched.live.status().healthy
        assert watched.live.status().volumes[0].generation_on_disk == kubelet_volume.generation
        move_clock(2.5)
        problems = watched.live.status().problems  # a look that is just due would be late by this clock, too
        assert any("waiting for its verifiers" in text for text in problems)
    finally:
        go.set()
    watched.live.wait(lambda s: s.message == "two", PATIENCE)
    assert watched.live.status().healthy


@pytest.mark.usefixtures("inotify")
def test_a_look_that_does_not_come(kubelet_volume, load, move_clock):
    """G02: when no look has come for longer than the period of the re-checks, the status says so."""
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    move_clock(3500.0)
    assert settings.live.healthy
    move_clock(110.0)
    status = settings.live.status()
    assert any("a look at the volumes has been due" in text for text in status.problems)


# What else is in it


def test_disabled_logger(kubelet_volume, load):
    """S01: `dictConfig` with its default `disable_existing_loggers` after the load is a problem in the status."""
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    logger = logging.getLogger("liveconfig")
    try:
        logging.config.dictConfig({"version": 1, "incremental": False})
        assert "disable_existing_loggers=False" in problem(settings)
    finally:
        logger.disabled = False
        for name in list(logging.root.manager.loggerDict):
            logging.getLogger(name).disabled = False
    assert settings.live.status().healthy


def test_a_level_that_hides_errors_is_a_note(kubelet_volume, load):
    """S01: a level above ERROR is deliberate: a note, not a problem."""
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    logger = logging.getLogger("liveconfig")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        status = settings.live.status()
    finally:
        logger.setLevel(before)
    assert status.healthy
    assert any("suppresses ERROR" in note for note in status.notes)


def test_names_of_the_class(kubelet_volume, load):
    """The status names the settings class, its module included."""
    assert load(App, _volumes=kubelet_volume.path).live.status().settings == f"{__name__}.App"


def test_missing_documents(kubelet_volume, load, caplog):
    """K23: a document that is on no volume is in the status and in the log, with the nearest key."""
    kubelet_volume.write({"app.yml": "message: two"})
    settings = load(App, _volumes=kubelet_volume.path)
    assert settings.live.status().documents_missing == {"app.yaml": "app.yml"}
    (line,) = [record.getMessage() for record in caplog.records if "app.yml" in record.getMessage()]
    assert (
        line
        == f"App: the document `app.yaml` is on no volume (looked in {kubelet_volume.path}); did you mean `app.yml`?"
    )
    kubelet_volume.write({"app.yaml": "message: two"})
    assert settings.live.reload()
    assert settings.live.status().documents_missing == {}


def test_notes_are_no_problems(kubelet_volume, load, monkeypatch):
    """A field that is read from the environment is a note: `problems` holds only what makes the settings unhealthy."""
    monkeypatch.setenv("MESSAGE", "from the environment")
    status = load(App, _volumes=kubelet_volume.path).live.status()
    assert (status.healthy, status.problems) == (True, ())
    assert any("environment variable MESSAGE" in note for note in status.notes)


def test_the_status_as_json(kubelet_volume, load, canary):
    """All of it is JSON, with a standing rejection and a history, and holds no value."""
    kubelet_volume.write({"number": "1", "token": canary})
    settings = load(Unwatched, _volumes=kubelet_volume.path)
    kubelet_volume.update({"number": canary})
    assert not settings.live.reload()
    text = json.dumps(settings.live.status().as_dict())
    assert canary not in text
    assert json.loads(text)["rejections"][0]["fields"] == ["number"]
    assert json.loads(text)["history"][0]["kind"] == "rejected"


# History


def kinds(settings):
    return [entry.kind for entry in settings.live.history()]


def test_history(kubelet_volume, load, canary):
    """`history()` holds what was applied, rejected and became stale, newest first, with names and no values."""
    kubelet_volume.write({"message": "one", "number": "1", "token": canary})
    settings = load(Unwatched, _volumes=kubelet_volume.path)
    assert settings.live.history() == ()
    kubelet_volume.update({"message": canary})
    assert settings.live.reload()
    kubelet_volume.update({"number": "many"})
    assert not settings.live.reload()
    kubelet_volume.write({"message": "three", "token": canary})
    assert settings.live.reload()
    applied = [entry for entry in settings.live.history() if entry.kind == "applied"]
    assert [(entry.version, entry.fields) for entry in applied] == [(3, ("message", "number")), (2, ("message",))]
    assert applied[0].generations == {str(kubelet_volume.path): kubelet_volume.generation}
    (rejected,) = [entry for entry in settings.live.history() if entry.kind == "rejected"]
    assert (rejected.version, rejected.fields) == (2, ("number",))
    assert "valid integer" in rejected.reason
    assert ("stale", ("number",), "vanished") in [(e.kind, e.fields, e.reason) for e in settings.live.history()]
    assert settings.live.status().history == settings.live.history()
    assert canary not in repr(settings.live.history())


def test_history_is_there_with_the_value(kubelet_volume, load):
    """After a wait for a value, the history has its entry."""
    kubelet_volume.write({"message": "0"})
    settings = load(App, _volumes=kubelet_volume.path)
    for number in range(1, 30):
        kubelet_volume.write({"message": str(number)})
        settings.live.wait(lambda s, text=str(number): s.message == text, PATIENCE)
        assert settings.live.history()[0].version == settings.live.version


def test_history_counts_attempts(kubelet_volume, load):
    """A rejection is one entry, and its count of attempts is the present one."""
    kubelet_volume.write({"number": "1"})
    settings = load(Unwatched, _volumes=kubelet_volume.path)
    settings.live.verify()(lambda _: False)
    kubelet_volume.write({"number": "2"})
    for _ in range(3):
        assert not settings.live.reload()
    (entry,) = settings.live.history()
    assert (
        entry.attempt == settings.live.status().rejections[0].attempt == settings.live.status().candidate.attempt == 3
    )


def test_history_is_bounded(kubelet_volume, load):
    """The history holds the newest 32 entries."""
    kubelet_volume.write({"message": "0"})
    settings = load(Unwatched, _volumes=kubelet_volume.path)
    for number in range(40):
        kubelet_volume.write({"message": f"m{number}"})
        assert settings.live.reload()
    entries = settings.live.history()
    assert [entry.version for entry in entries] == list(range(41, 9, -1))
    assert all(isinstance(entry, HistoryEntry) for entry in entries)
    assert len({hash(entry) for entry in entries}) == 32


def test_adopted_content_is_no_entry(kubelet_volume, load):
    """Other bytes that change no field make no version and no entry; the status shows the new generation."""
    kubelet_volume.write({"message": "one"})
    settings = load(Unwatched, _volumes=kubelet_volume.path)
    kubelet_volume.write({"message": "one", "unused": "x"})
    assert settings.live.reload()
    assert settings.live.history() == ()
    assert settings.live.status().volumes[0].generation_applied == kubelet_volume.generation


# Stale fields that were known before anybody subscribed


def test_standing_stale_fields_are_delivered(kubelet_volume, load, monkeypatch):
    """H05: `subscribe(Stale, initial=True)` delivers what stands already, once, before it returns."""
    monkeypatch.setenv("MESSAGE", "from the environment")
    settings = load(Unwatched, _volumes=kubelet_volume.path)
    found, later = [], []
    settings.live.subscribe(Stale, found.append, initial=True)
    settings.live.subscribe(Stale, later.append)
    assert [(stale.field, stale.reason) for stale in found] == [("message", "environment")]
    settings.live.reload()
    assert len(found) == 1
    assert later == []


def test_standing_rejections_are_delivered(kubelet_volume, load):
    """`subscribe(Rejected, initial=True)` delivers the standing rejections."""
    kubelet_volume.write({"number": "1"})
    settings = load(Unwatched, _volumes=kubelet_volume.path)
    found = []
    settings.live.subscribe(Rejected, found.append, initial=True)
    assert found == []
    kubelet_volume.write({"number": "many"})
    assert not settings.live.reload()
    again = []
    settings.live.subscribe(Rejected, again.append, initial=True)
    assert again == found == list(settings.live.status().rejections)


def test_one_that_raises_gets_them_again(kubelet_volume, load, monkeypatch, move_clock):
    """H05: a subscriber that raises at a standing stale field is called again."""
    monkeypatch.setenv("MESSAGE", "from the environment")
    settings = load(App, _volumes=kubelet_volume.path)
    calls, twice = [], threading.Event()

    def hear(stale):
        calls.append(stale)
        if len(calls) == 1:
            raise ConnectionError
        twice.set()

    settings.live.subscribe(Stale, hear, initial=True)
    assert twice.wait(PATIENCE)


def test_recorded_starts_empty(kubelet_volume, load, monkeypatch):
    """`recorded` does not list what stood before it."""
    monkeypatch.setenv("MESSAGE", "from the environment")
    settings = load(Unwatched, _volumes=kubelet_volume.path)
    with recorded(settings) as events:
        settings.live.reload()
    assert events == []
