"""``liveconfig demo``: an application that follows volumes, which are written as the kubelet writes them.

The demo acts as the kubelet: it applies the manifests of the package one after the other. It then sends HTTP requests
to an application in another process (`liveconfig.cli.demo_app`) until the answer is the new one.
"""

from __future__ import annotations

import argparse
import errno
import sys
import tempfile
import textwrap
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from liveconfig._distribution import install_command
from liveconfig._processes import Scan, processes
from liveconfig._terminal import painter
from liveconfig.cli import ps
from liveconfig.cli._demo_process import Child, ChildFailed, started
from liveconfig.cli._exit_signals import ending_in_order
from liveconfig.testing import KubeletVolume

PATIENCE = 5.0
"""Seconds after an update within which the answer has to be the expected one."""

_APPLICATION = "liveconfig.cli.demo_app"
_STATUS = "/liveconfig/status"


@dataclass(frozen=True)
class Question:
    """A request, and the expected content of the answer."""

    path: str
    expected: Mapping[str, object]


@dataclass(frozen=True)
class Edit:
    """A manifest that is applied to a volume, and the requests that follow."""

    title: str
    volume: str
    manifest: str
    questions: tuple[Question, ...]


class StepFailed(Exception):  # noqa: N818 - it is reported as one line
    """The answer was not the expected one. The message contains it."""


def _greeting(message: str, *, checkout: bool) -> Question:
    return Question("/", {"message": message, "checkout_enabled": checkout})


_AT_THE_START = (
    _greeting("hello world", checkout=True),
    Question("/login", {"login": "refused"}),
)
_EDITS = (
    Edit(
        'The ConfigMap is edited: message: "hello KodeKloud"',
        "config",
        "edit-1-greeting",
        (_greeting("hello KodeKloud", checkout=True),),
    ),
    Edit(
        'The ConfigMap is edited: checkout_enabled: "false"',
        "config",
        "edit-2-checkout-off",
        (_greeting("hello KodeKloud", checkout=False),),
    ),
    Edit(
        "The Secret is edited: the mysql-root-password is corrected",
        "secrets",
        "edit-3-password-corrected",
        (Question("/login", {"login": "works"}),),
    ),
    Edit(
        'The ConfigMap is broken: checkout_enabled: "maybe", and a new message',
        "config",
        "edit-4-checkout-broken",
        (Question(_STATUS, {"healthy": False}), _greeting("hello KodeKloud", checkout=False)),
    ),
    Edit(
        'The ConfigMap is corrected: checkout_enabled: "true"',
        "config",
        "edit-5-checkout-corrected",
        (_greeting("hello again", checkout=True), Question(_STATUS, {"healthy": True})),
    ),
)


_WIDTH = 77
_LAST_EDIT = Edit(
    'The ConfigMap is edited: message: "hello both"',
    "config",
    "edit-6-both-workers",
    (_greeting("hello both", checkout=True),),
)


class _ClockedVolume(KubeletVolume):
    """A volume that records the time of its update."""

    swapped_at = 0.0

    def write(self, payload: Mapping[str, str | bytes], /) -> None:
        for step in self.steps(payload):
            if step == "rename":
                self.swapped_at = time.perf_counter()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its arguments."""
    parser.description = (
        "Starts a small web application, edits its ConfigMap and Secret on an embedded volume and asks it "
        "again. Exit code 0, or 1 and the reason if a step failed."
    )


_OUTPUT_ERRORS = (errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF)
"""The errors that a print can raise."""


def run(_: argparse.Namespace) -> int:
    """Run the demo.

    Returns:
        0, or 1 if a step failed; the reason is on standard error.
    """
    try:
        with ExitStack() as stack:
            no_more_signals = stack.enter_context(ending_in_order())
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="liveconfig-demo-")))
            volumes = {name: _ClockedVolume(folder / name) for name in ("config", "secrets")}
            _begin(volumes)
            log = folder / "application.log"
            paths = [each.path for each in volumes.values()]
            child = stack.enter_context(started(_APPLICATION, paths, log))
            stack.callback(no_more_signals)
            _tell(child, volumes)
            second = stack.enter_context(started(_APPLICATION, paths, folder / "second.log"))
            _show_workers([child, second], volumes["config"])
            _end()
    except (ChildFailed, StepFailed) as failure:
        return _failed(str(failure))
    except OSError as error:
        if error.errno in _OUTPUT_ERRORS and error.filename is None:
            raise
        return _failed(str(error))
    except ModuleNotFoundError as error:
        if error.name != "yaml":
            raise
        return _failed(f"its manifests are YAML, and PyYAML is missing: {install_command('yaml')}")
    except SystemExit:
        _say("\nInterrupted. The application and its volumes are gone.")
        raise
    return 0


def _begin(volumes: Mapping[str, KubeletVolume]) -> None:
    _say("An application follows its ConfigMap and its Secret, without a restart.")
    _say("ms: from the swap on the volume to the new answer, over HTTP.\n")
    volumes["config"].apply(_manifest("web-message"))
    volumes["secrets"].apply(_manifest("app-secrets"))
    _say("Starting the application ...")


def _tell(child: Child, volumes: Mapping[str, _ClockedVolume]) -> None:
    _say(f"It is process {child.pid}, at {child.url}")
    if child.ask(_STATUS)["watcher"] != "inotify":
        _say("Here it can have no inotify: it looks every 2 s, and that is what the ms show.")
    _say("")
    _say("0. As it starts: a greeting, the checkout, and a mistyped password")
    for question in _AT_THE_START:
        _show(question, _answer(child, question))
    slowest = 0.0
    for number, edit in enumerate(_EDITS, 1):
        _say(f"{number}. {edit.title}")
        slowest = max(slowest, _do(edit, child, volumes[edit.volume]))
    _say(f"\n{len(_EDITS)} edits, all answered by process {child.pid}; it was never restarted.")
    _say(f"From the swap to the answer it took {slowest:.1f} ms at most.\n")


def _show_workers(children: Sequence[Child], volume: _ClockedVolume) -> None:
    """Print one table for all workers, before and after an update."""
    number = len(_EDITS) + 1
    _say(f"{number}. A second worker starts. `liveconfig ps` shows whether each is up to date:\n")
    _show_processes(children)
    volume.apply(_manifest(_LAST_EDIT.manifest))
    for child in children:
        _answer(child, _LAST_EDIT.questions[0])
    _say(f"\n   {_LAST_EDIT.title}\n")
    _show_processes(children)


def _show_processes(children: Sequence[Child]) -> None:
    pids = {child.pid for child in children}
    deadline = time.monotonic() + PATIENCE
    while True:
        found = tuple(each for each in processes() if each.pid in pids)
        if len(found) == len(pids) and all(each.is_current for each in found):
            break
        if time.monotonic() > deadline:
            raise StepFailed(f"of {len(pids)} workers, {sum(each.is_current for each in found)} are current")
        time.sleep(0.01)
    _say(textwrap.indent("\n".join(ps.lines(Scan(found, 0), painter(), _WIDTH)), "   "))


def _end() -> None:
    _say("\nPassed. The application is the file")
    _say(f"   {files('liveconfig').joinpath('cli', 'demo_app.py')}")
    _say("Read next: docs/tutorial.md, which builds such an application step by step.")


def _do(edit: Edit, child: Child, volume: _ClockedVolume) -> float:
    """Apply, send requests and print. Return the milliseconds from the update to the first answer."""
    volume.apply(_manifest(edit.manifest))
    first, *others = edit.questions
    answer = _answer(child, first)
    took = (time.perf_counter() - volume.swapped_at) * 1000
    _show(first, answer, f"{took:.1f} ms")
    for question in others:
        _show(question, _answer(child, question))
    return took


def _answer(child: Child, question: Question) -> dict[str, Any]:
    """Repeat the request until the answer is the expected one."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = child.ask(question.path)
        if all(answer[name] == value for name, value in question.expected.items()):
            return answer
        if time.monotonic() > deadline:
            got = {name: answer[name] for name in question.expected}
            raise StepFailed(
                f"{question.path} answers {got} after {PATIENCE:.0f} s, expected was {dict(question.expected)}"
                f"{child.last_words()}"
            )
        time.sleep(0.001)


def _show(question: Question, answer: Mapping[str, Any], took: str = "") -> None:
    _say(f"   {question.path:<18} {_in_words(question.path, answer):<34} {took:>8}  pid {answer['pid']}")
    candidate = answer.get("candidate")
    if candidate is not None:
        _say(textwrap.indent(textwrap.fill(candidate["reason"], 74), " " * 6))
        _say(f"      Also not applied until this is fixed: {', '.join(candidate['held'])}")


def _in_words(path: str, answer: Mapping[str, Any]) -> str:
    if path == "/":
        return f'"{answer["message"]}", checkout {"on" if answer["checkout_enabled"] else "off"}'
    if path == "/login":
        return f"database login {answer['login']}"
    return "healthy" if answer["healthy"] else "rejected; the last good one stays:"


def _manifest(name: str) -> str:
    return files("liveconfig").joinpath("cli", "manifests", f"{name}.yaml").read_text("utf-8")


def _failed(reason: str) -> int:
    print(f"liveconfig demo: failed: {reason}", file=sys.stderr)
    return 1


def _say(text: str) -> None:
    print(text, flush=True)
