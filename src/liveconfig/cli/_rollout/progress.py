"""The progress of ``liveconfig sync`` on standard error."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

from liveconfig._terminal import printable
from liveconfig.cli._rollout.call import Call
from liveconfig.cli._rollout.pods import Pod
from liveconfig.cli._rollout.rows import Row

_ASKING = "asking"
_PAUSE = 0.1
"""Seconds between two pictures."""


class Progress:
    """On a terminal one line for each pod, redrawn; elsewhere a plain line for each change of the state of a pod."""

    def __init__(self) -> None:
        self._on_terminal = sys.stderr.isatty()
        self._drawn = 0
        self._told: dict[tuple[str, str], str] = {}
        self._next = 0.0

    def answered(self, call: Call, pods: Sequence[Pod]) -> None:
        """Show the state of each pod after an answer, unless that was done a moment ago.

        Args:
            call: What has been answered.
            pods: The pods as they are now.
        """
        if time.monotonic() >= self._next:
            self.show(call, pods)

    def show(self, call: Call, pods: Sequence[Pod]) -> None:
        """Show the state of each pod.

        Args:
            call: The answers.
            pods: The pods as they are now.
        """
        rows: dict[tuple[str, str], list[Row]] = {}
        for row in call.rows():
            rows.setdefault((row.namespace, row.pod), []).append(row)
        states = {name: _state(rows.get(name, ())) for name in ((pod.namespace, pod.name) for pod in pods)}
        seconds = time.monotonic() - call.began
        if self._on_terminal:
            self._draw(list(_lines(states, seconds)))
        else:
            self._tell(states, seconds)
        self._next = time.monotonic() + _PAUSE

    def clear(self) -> None:
        """Remove the lines from the terminal."""
        if self._drawn:
            print(f"\033[{self._drawn}F\033[J", end="", file=sys.stderr, flush=True)
            self._drawn = 0

    def _draw(self, lines: Sequence[str]) -> None:
        width, height = shutil.get_terminal_size()
        shown = [line[: width - 1] for line in (lines if len(lines) < height else lines[-(height - 1) :])]
        self.clear()
        print("\n".join(shown), file=sys.stderr, flush=True)
        self._drawn = len(shown)

    def _tell(self, states: Mapping[tuple[str, str], str], seconds: float) -> None:
        for key, state in states.items():
            if state not in (_ASKING, self._told.get(key)):
                self._told[key] = state
                print(f"{seconds:.1f} s  {printable(key[1])}: {state}", file=sys.stderr, flush=True)


def _state(rows: Sequence[Row]) -> str:
    """Return the first state of a pod's rows that is not in sync, with its problem."""
    if not rows:
        return _ASKING
    wrong = next((row for row in rows if row.counts and row.state != "SYNCED"), None)
    if wrong is None:
        return "SYNCED"
    text = f"{wrong.state} ({wrong.problem})" if wrong.problem else wrong.state
    return str(printable(text))


def _lines(states: Mapping[tuple[str, str], str], seconds: float) -> Iterator[str]:
    """One line a pod, those in sync first: where the terminal is too small, the others are at its end."""
    width = max((len(name) for _, name in states), default=0)
    for (_, name), state in sorted(states.items(), key=lambda item: (item[1] != "SYNCED", item[0])):
        yield f"{printable(name):<{width}}  {state}"
    done = sum(state == "SYNCED" for state in states.values())
    yield f"{done} of {len(states)} pods in sync, {seconds:.1f} s"
