"""One call of ``status`` or ``sync``: which pods, what they answered so far, and the time that is left."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from liveconfig._manifests import Container, kind_of
from liveconfig._terminal import printable
from liveconfig.cli._exit_signals import ending_in_order
from liveconfig.cli._kubectl import Kubectl, KubectlMissing, command_line
from liveconfig.cli._rollout.container_queries import ask_all
from liveconfig.cli._rollout.expectations import Expectations, Objects, read_objects
from liveconfig.cli._rollout.pods import RESTARTABLE, CannotAsk, Pod, Target, pods_of
from liveconfig.cli._rollout.rows import Row, Seen, processes_of, rows_of

CANNOT_ASK = 2
"""The exit code when the cluster does not answer."""


@dataclass
class Call:
    """One call of ``status`` or ``sync``.

    Args:
        arguments: The parsed arguments.
    """

    arguments: argparse.Namespace
    kubectl: Kubectl = field(init=False)
    target: Target = field(init=False)
    began: float = field(default_factory=time.monotonic)
    _found: dict[tuple[str, str, str, str], Seen] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = self.arguments
        self.kubectl = Kubectl(given.context)
        scope = ("-n", given.namespace) if given.namespace else ()
        self.target = Target(scope, given.target or "", given.selector, given.container)

    def left(self) -> float:
        """Return the seconds until the time limit of the whole call."""
        timeout: float = self.arguments.timeout
        return max(0.0, self.began + timeout - time.monotonic())

    def pods(self) -> tuple[Pod, ...]:
        """The pods as they are now, with the containers that are to be asked. Others are forgotten.

        Raises:
            CannotAsk: The cluster does not answer, or what was asked for does not exist.
            KubectlMissing: There is no kubectl.
        """
        pods = self._chosen(pods_of(self.kubectl, self.target, self.left))
        keys = {pod.key for pod in pods}
        self._found = {key: seen for key, seen in self._found.items() if key[:3] in keys}
        return pods

    def _chosen(self, pods: Sequence[Pod]) -> tuple[Pod, ...]:
        wanted, names = self.target.container, {each.name for pod in pods for each in pod.containers}
        if not wanted or not pods:
            return tuple(pods)
        if wanted not in names:
            raise CannotAsk(f"no pod has a container {wanted!r}; containers there: {', '.join(sorted(names))}")
        return tuple(
            replace(pod, containers=tuple(each for each in pod.containers if each.name == wanted)) for pod in pods
        )

    def ask(self, pods: Sequence[Pod], *, again: Callable[[Row], bool]) -> Iterator[Pod]:
        """Ask the containers that were not asked yet, or of which an object has changed since, or a row is to be asked.

        Args:
            pods: The pods as they are now.
            again: Whether a row is to be asked again.

        Yields:
            Each pod of which a container has answered.
        """
        expectations = Expectations(read_objects(self.kubectl, self.target.scope, pods, self.left))
        questions = [
            (pod, container, expectations.document(container))
            for pod, container in self._to_ask(pods, expectations.objects, again)
            if container.mounts or container.env or container.env_from
        ]
        for pod, container, report in ask_all(self.kubectl, questions, self.arguments.python, self.left):
            key = *pod.key, container.name
            if report.failure != "UNREACHABLE" or self.left() or key not in self._found:
                self._found[key] = Seen(pod, container, report, expectations.objects)
            yield pod

    def _to_ask(
        self, pods: Sequence[Pod], objects: Objects, again: Callable[[Row], bool]
    ) -> Iterator[tuple[Pod, Container]]:
        for pod in pods:
            for container in pod.containers:
                seen = self._found.get((*pod.key, container.name))
                if (
                    seen is None
                    or objects.of(container) != seen.objects.of(container)
                    or any(again(row) for row in self._rows_of(seen))
                ):
                    yield pod, container

    def rows(self) -> tuple[Row, ...]:
        """Return the rows of all containers that have answered, in the order of their names."""
        rows = [row for key in sorted(self._found) for row in self._rows_of(self._found[key])]
        if not self.target.is_workload:
            return tuple(rows)
        following = {(row.namespace, row.pod) for row in rows if row.processes}

        def needless(row: Row) -> bool:  # another container of the pod reports: this one is a proxy, or the like
            return row.state == "NO REPORT" and (row.namespace, row.pod) in following

        return tuple(replace(row, counts=False) if needless(row) else row for row in rows)

    def processes(self) -> tuple[bool, ...]:
        """Of each process that follows a volume, whether it uses what is on disk."""
        found = (processes_of(seen, self.target.object) for seen in self._found.values())
        return tuple(current for processes in found for current in processes.values())

    def _rows_of(self, seen: Seen) -> Iterator[Row]:
        return rows_of(seen, self.target.object, self._restart(seen.pod))

    def _restart(self, pod: Pod) -> str:
        """Return the command that restarts a pod together with the others of its workload."""
        is_restartable = kind_of(self.target.name.partition("/")[0]) in RESTARTABLE
        workload = self.target.name if is_restartable else pod.workload
        if not workload:
            return "restart it"
        return command_line("kubectl rollout restart", workload, self.arguments.namespace, self.arguments.context)


def guarded(name: str, body: Callable[[], int]) -> int:
    """Run a command; an error of the cluster becomes one line and exit code 2."""
    try:
        with ending_in_order():  # no kubectl is left behind
            return body()
    except (CannotAsk, KubectlMissing) as error:
        print(f"liveconfig {name}: {printable(str(error))}", file=sys.stderr)
        return CANNOT_ASK
