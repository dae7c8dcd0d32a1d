"""The page of ``liveconfig explain``, from the status that it is made of."""

from __future__ import annotations

import errno
import io
import subprocess
import sys
from contextlib import redirect_stdout
from datetime import datetime, timedelta

import pytest

from liveconfig import Settings
from liveconfig._status_text import page
from liveconfig.cli import _demo_process, demo, main


class App(Settings):
    message: str = "hello"


@pytest.fixture
def text_of():
    """A function: the page of a status, with some of it replaced."""

    def text_of(settings, **other):
        return "\n".join(page({**settings.live.status().as_dict(), **other}, lambda text, _: text, new_process=False))

    return text_of


@pytest.fixture
def settings(kubelet_volume, load):
    kubelet_volume.write({"message": "one"})
    return load(App, _volumes=kubelet_volume.path, _watch=False)


def test_without_volumes(load, text_of):
    """Settings without a volume have no table of volumes."""
    text = text_of(load(App, _watch=False))
    assert "FIELD" in text
    assert "VOLUME" not in text


def test_subscribers_that_fail(settings, text_of):
    """Subscribers that raised, or have been inside a call for long, are listed; the others are not."""
    now = datetime.fromisoformat(settings.live.status().as_dict()["applied_at"])
    started = {"long": now - timedelta(minutes=2), "short": now}
    subscribers = [
        {"name": "raises", "error": "ValueError", "version": 1, "running_since": None},
        *({"name": name, "error": None, "version": 1, "running_since": at.isoformat()} for name, at in started.items()),
        {"name": "rests", "error": None, "version": 1, "running_since": None},
    ]
    _, _, listed = text_of(settings, subscribers=subscribers).partition("Subscribers that fail\n")
    assert listed.splitlines() == [
        "- raises raised ValueError; it was given version 1",
        "- long has been inside its call for 2 min",
    ]


def test_a_rejection_that_stands_on_a_volume(settings, text_of, kubelet_volume):
    """While a volume cannot be read, what was rejected last is not said to be over."""
    (kubelet_volume.path / "..data").unlink()
    (kubelet_volume.path / "..data").mkdir()
    assert not settings.live.reload()
    text = text_of(settings)
    assert "cannot be read: " in text
    assert "it is over" not in text
    (kubelet_volume.path / "..data").rmdir()


def test_why_a_field_is_frozen(settings, text_of):
    """A frozen field has the reason of the part of the volume that it lies in, and the mere word where none is known."""
    status = settings.live.status().as_dict()
    origin = {**status["fields"]["message"], "live": False}
    [volume] = status["volumes"]
    parts = ({"another": "subpath", "message": "subpath (stale)"}, {"another": "subpath"})
    texts = [
        text_of(settings, fields={"message": origin}, frozen=["message"], volumes=[volume, {**volume, "frozen": part}])
        for part in parts
    ]
    assert [line.strip() for text in texts for line in text.splitlines() if line.startswith("   ")] == [
        "subPath mount, and the volume has moved on",
        "frozen",
    ]


def test_a_stream_that_is_no_terminal(settings, capsys):
    """It prints to whatever stands for standard output."""
    with redirect_stdout(io.StringIO()) as stream, pytest.raises(SystemExit):
        main(["--version"])
    assert stream.getvalue().startswith("liveconfig ")


def test_interrupted_while_a_module_is_imported(tmp_path, monkeypatch):
    """Ctrl-C while the user's module is imported ends the command as Ctrl-C does anywhere."""
    (tmp_path / "interrupts.py").write_text("raise KeyboardInterrupt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main(["explain", "interrupts:settings"]) == 130


@pytest.mark.parametrize(
    "error", [BrokenPipeError(errno.EPIPE, "Broken pipe"), ModuleNotFoundError("no", name="other")]
)
def test_what_the_demo_does_not_know(error, monkeypatch):
    """An error that is no failure of a step, such as a missing module elsewhere, is not reported as one."""

    def begin(volumes):
        raise error

    monkeypatch.setattr(demo, "_begin", begin)
    with pytest.raises(error if isinstance(error, type) else type(error)):
        demo.run(None)


def test_another_process_that_answers(monkeypatch):
    """The demo fails when another process than the one that it started answers."""
    child = _demo_process.Child.__new__(_demo_process.Child)
    child.pid, child.url = 1, ""
    monkeypatch.setattr(_demo_process, "get_json", lambda url, timeout: {"pid": 2})
    with pytest.raises(_demo_process.ChildFailed, match="process 2 answers, 1 was started"):
        child.ask("/")


def test_an_application_that_does_not_end(monkeypatch):
    """An application that does not end when its standard input does is killed."""
    monkeypatch.setattr(_demo_process, "ENDING", 0.01)
    command = [sys.executable, "-c", "import threading; threading.Event().wait()"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    _demo_process._end(process)
    assert process.returncode == -9


@pytest.mark.parametrize(
    ("module", "function"), [("liveconfig.__main__", "program"), ("liveconfig.cli.demo_app", "main")]
)
def test_imported_and_not_run(module, function):
    """A module that is a program does nothing when it is imported."""
    assert callable(getattr(__import__(module, fromlist=[function]), function))
