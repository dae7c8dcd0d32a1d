"""Calls of ``liveconfig ps`` in containers: many at once, each with a time limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Literal

from liveconfig._manifests import Container
from liveconfig.cli._kubectl import Answer, Kubectl
from liveconfig.cli._rollout.answers import parsed
from liveconfig.cli._rollout.pods import Pod

AT_ONCE = 16
"""The number of containers that are queried at the same time."""

PATIENCE = 10.0
"""The time limit for one container, in seconds."""

LARGEST = 16 * 1024 * 1024
"""Bytes that one container may print."""

_PS = ("ps", "--json", "--expect", "-")
_NOT_FOUND = ("executable file not found", "no such file or directory", "not found in $path")
_NO_MODULE = ("no module named", "cannot import")
_OF_PS = "liveconfig ps: "
_OLD = ("invalid choice", "unrecognized arguments")
_NOT_THERE = ("unable to upgrade connection", "container not found", "error dialing backend", "dial tcp", "timed out")

Failure = Literal["NO REPORT", "UNREACHABLE"]


@dataclass(frozen=True, slots=True)
class Report:
    """The answer of one container.

    Attributes:
        data: The JSON of ``liveconfig ps``; None if there is none.
        failure: The state of its rows, if there is no data.
        problem: The same as a sentence.
    """

    data: Mapping[str, Any] | None
    failure: Failure = "NO REPORT"
    problem: str = ""


Question = tuple[Pod, Container, bytes]


def ask_all(
    kubectl: Kubectl, questions: Iterable[Question], python: str, left: Callable[[], float]
) -> Iterator[tuple[Pod, Container, Report]]:
    """Query containers, and yield the answers as they arrive.

    Args:
        kubectl: Runs kubectl.
        questions: Pods, containers, and the document with the expected content of each.
        python: The interpreter in the containers; empty to try the usual ways.
        left: Seconds until the whole call is to end.
    """
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        futures = {
            pool.submit(_ask, kubectl, pod, container, document, python, left): (pod, container)
            for pod, container, document in questions
        }
        for future in as_completed(futures):
            yield (*futures[future], future.result())
    except BaseException:  # Ctrl-C: no process is left behind, and none is started
        kubectl.stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ask(
    kubectl: Kubectl, pod: Pod, container: Container, document: bytes, python: str, left: Callable[[], float]
) -> Report:
    if pod.waiting:
        return Report(None, "UNREACHABLE", pod.waiting)
    problems: list[str] = []
    deadline = time.monotonic() + min(PATIENCE, left())
    for command in [(python, "-m", "liveconfig")] if python else _WAYS:
        target = ("exec", pod.name, "-c", container.name, "-i", "--")
        scope = ("-n", pod.namespace) if pod.namespace else ()
        patience = deadline - time.monotonic()
        if patience <= 0:
            return Report(None, "UNREACHABLE", "it did not answer in time")
        answer = kubectl.run(*target, *command, *_PS, scope=scope, given=document, timeout=patience, limit=LARGEST)
        data = parsed(answer.output)
        if data is not None:
            return _reported(data)
        if answer.is_cut:
            return Report(None, "NO REPORT", f"the container's answer is no report of `liveconfig ps`: {answer.error}")
        if answer.code is None or _says(answer, _NOT_THERE):
            return Report(None, "UNREACHABLE", answer.error)
        problems.append(_problem(answer, command[0]))
        if not _try_next(answer):
            break
    return Report(None, "NO REPORT", _chosen(problems))


_NO_PYTHON = "there is no Python in the container on its PATH: name the interpreter (--python PATH)"
_NO_SUCH_PYTHON = "there is no {} in the container: give --python the path of its interpreter"
_USUAL = ("python3", "python")
_WAYS = (("liveconfig",), ("python3", "-m", "liveconfig"), ("python", "-m", "liveconfig"))


def _reported(data: Mapping[str, Any]) -> Report:
    if data["processes"]:
        return Report(data)
    return Report(data, "NO REPORT", "no process with live settings runs in the container")


def _says(answer: Answer, words: Iterable[str]) -> bool:
    error = answer.errors.lower() or answer.error.lower()
    return any(word in error for word in words)


def _try_next(answer: Answer) -> bool:
    return answer.code in (126, 127) or _says(answer, (*_NOT_FOUND, *_NO_MODULE))


def _problem(answer: Answer, program: str) -> str:
    if _says(answer, _NO_MODULE):
        return (
            "liveconfig is not installed in the container: add it to the image, or name another interpreter (--python)"
        )
    if answer.code in (126, 127) or _says(answer, _NOT_FOUND):
        return "" if program == "liveconfig" else _NO_PYTHON if program in _USUAL else _NO_SUCH_PYTHON.format(program)
    if _says(answer, (_OF_PS,)):
        return answer.error
    if _says(answer, _OLD) or answer.code == 2:
        return "the container has a version of liveconfig before 0.2: build its image with 0.2 or a newer one"
    if answer.code == 0 or answer.output:
        return "the answer of the container is not what `liveconfig ps` prints: run it there by hand (kubectl exec)"
    if "forbidden" in answer.error.lower():
        return f"your role may not run commands in pods; allow the verb create on pods/exec: {answer.error}"
    return answer.error or f"the command ended with exit code {answer.code}"


def _chosen(problems: list[str]) -> str:
    """Choose the most useful problem: an interpreter without liveconfig before a missing interpreter."""
    known = [each for each in problems if each]
    return next((each for each in known if each != _NO_PYTHON), _NO_PYTHON)
