"""``liveconfig sync``: makes the kubelets write a change, and waits until every process of every pod uses it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from liveconfig._terminal import printable
from liveconfig.cli._kubectl import Answer
from liveconfig.cli._rollout.arguments import add_shared_arguments
from liveconfig.cli._rollout.call import Call, guarded
from liveconfig.cli._rollout.output import show
from liveconfig.cli._rollout.pods import CannotAsk, Pod
from liveconfig.cli._rollout.progress import Progress

ANNOTATION = "liveconfig.dev/synced-at"
PAUSE = 0.1
"""Seconds between two rounds of questions."""

_BATCH = 200
_PATIENCE = 30.0
"""Seconds that the annotations of one batch may take: kubectl sends them one after the other."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its arguments."""
    parser.description = (
        "Annotates the pods, which makes the kubelets write changed ConfigMaps and Secrets at once instead of within a "
        "minute or so, and waits until every process of every pod uses them. It does not wait for what cannot change."
    )
    add_shared_arguments(parser, timeout=120.0)


def run(arguments: argparse.Namespace) -> int:
    """Wait until all is in sync, and print the table.

    Returns:
        0 if every row that counts is in sync, 1 if not, 2 if the cluster does not answer.
    """
    return guarded("sync", lambda: _sync(Call(arguments)))


def _sync(call: Call) -> int:
    pods, known = call.pods(), set[tuple[str, str, str]]()
    progress = Progress()
    while True:
        _annotate(call, [pod for pod in pods if pod.key not in known])
        known |= {pod.key for pod in pods}
        for _ in call.ask(pods, again=lambda row: row.waits):
            progress.answered(call, pods)
        progress.show(call, pods)
        waits = any(row.waits for row in call.rows())
        if not call.left():
            break
        if waits:
            time.sleep(min(PAUSE, call.left()))
        pods = _pods_again(call, pods)
        if not waits and {pod.key for pod in pods} <= known:  # none has come meanwhile
            break
    progress.clear()
    return show(call, pods)


def _pods_again(call: Call, pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
    """Return the present pods; the last known ones if the cluster does not answer in time."""
    try:
        return call.pods()
    except CannotAsk:
        if call.left():
            raise
        return pods


def _annotate(call: Call, pods: Sequence[Pod]) -> None:
    """A change of a pod's annotations makes its kubelet look at its volumes at once (kubernetes, pod workers)."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    for at in range(0, len(pods), _BATCH):
        names = [pod.name for pod in pods[at : at + _BATCH]]
        answer = call.kubectl.run(
            "annotate",
            "pod",
            *names,
            f"{ANNOTATION}={moment}",
            "--overwrite",
            scope=call.target.scope,
            timeout=min(call.left(), _PATIENCE),
        )
        if answer.code != 0 and not _only_gone(answer):
            problem = printable(f"the pods could not be annotated ({answer.error})")
            print(f"liveconfig sync: {problem}: waiting for the kubelets, up to 90 s", file=sys.stderr)


def _only_gone(answer: Answer) -> bool:
    """Whether the only failures are pods that were deleted meanwhile: kubectl continues with the others."""
    lines = answer.errors.splitlines()
    return bool(lines) and all("(NotFound)" in line for line in lines)
