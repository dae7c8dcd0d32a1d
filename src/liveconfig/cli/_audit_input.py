"""The input of ``liveconfig audit``: manifests, a cluster, and the progress of reading them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from liveconfig._clock import monotonic
from liveconfig._manifests import Manifests, RefPath, parse_ref_path, read, read_paths, unknown_ignores
from liveconfig.cli._cluster import Cluster, read_cluster
from liveconfig.cli._kubectl import Kubectl


class CannotAudit(Exception):  # noqa: N818 - one clear line for a person
    """The audit is not possible. The message is one line."""


class Progress:
    """A line on a terminal with the progress, shown after 2 s."""

    def __init__(self) -> None:
        self._next = monotonic() + 2.0 if sys.stderr.isatty() else float("inf")
        self._count = 0
        self._shown = False

    def __call__(self, count: int) -> None:
        """Set the number of objects that have been read."""
        self._count = count
        self.tick()

    def tick(self) -> None:
        """Show the line, if 2 s have passed."""
        if (now := monotonic()) >= self._next:
            self._next, self._shown = now + 0.2, True
            sys.stderr.write(f"\r\033[Kreading: {self._count:,} objects")
            sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line."""
        if self._shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


class Known:
    """The manifests that were read, and the limits of the answer.

    Attributes:
        manifests: The manifests.
        cluster: Whether they come from a cluster.
        unlisted: Kinds that the cluster did not list.
        notes: Sentences about parts that were left out.
    """

    def __init__(self, manifests: Manifests, cluster: Cluster | None, ref_paths: Mapping[str, RefPath]) -> None:
        self.manifests = manifests
        self.cluster = cluster is not None
        self.unlisted = cluster.unlisted if cluster else ()
        self.notes = [each.advice("liveconfig audit") for each in manifests.skipped]
        self.notes += unknown_ignores(manifests)
        self.notes += [_names_nothing(text) for text, path in ref_paths.items() if path not in manifests.named_by]
        self.notes += cluster.notes if cluster else ()


def _names_nothing(ref_path: str) -> str:
    return f"--ref-path {ref_path}: no object of the input names anything there; check kind, group and path"


def read_input(given: argparse.Namespace, progress: Progress) -> Known:
    """Read the manifests, and list the cluster if the arguments ask for it.

    Raises:
        CannotAudit: The arguments do not fit together.
        KubectlMissing: There is no kubectl.
    """
    if not (given.paths or given.cluster):
        raise CannotAudit("give a PATH, - for standard input, or --cluster")
    if given.all_namespaces and not given.cluster:
        raise CannotAudit("-A asks a cluster for all namespaces: add --cluster")
    by_text = {text: _ref_path(text) for text in given.ref_path}
    ref_paths = list(by_text.values())
    cluster, namespace = None, given.namespace
    if given.cluster:
        scope = ["-n", namespace] if namespace else ["-A"] * given.all_namespaces
        cluster = read_cluster(Kubectl(given.context, progress.tick), scope, ref_paths, progress)
        namespace = cluster.namespace
    manifests = read(read_paths(given.paths), namespace=namespace, ref_paths=ref_paths, progress=progress)
    return Known(manifests.over(cluster.manifests) if cluster else manifests, cluster, by_text)


def _ref_path(text: str) -> RefPath:
    try:
        return parse_ref_path(text)
    except ValueError as error:
        problem = f"--ref-path: {error}"
    raise CannotAudit(problem)
