"""What ``liveconfig audit`` looks at: manifests, a cluster, and how far it is with them."""

from __future__ import annotations

import argparse
import sys

from liveconfig._clock import monotonic
from liveconfig._manifests import Manifests, RefPath, Skipped, parse_ref_path, read, read_paths, unknown_ignores
from liveconfig.cli._cluster import Cluster, read_cluster
from liveconfig.cli._kubectl import Kubectl


class CannotAudit(Exception):  # noqa: N818 - one clear line for a person
    """The question cannot be answered."""


class Progress:
    """A line on a terminal that says how far it is, once it has taken 2 s."""

    def __init__(self) -> None:
        self._next = monotonic() + 2.0 if sys.stderr.isatty() else float("inf")
        self._count = 0
        self._shown = False

    def __call__(self, count: int) -> None:
        """Note how many objects have been read."""
        self._count = count
        self.tick()

    def tick(self) -> None:
        """Show the line, if it is time."""
        if (now := monotonic()) >= self._next:
            self._next, self._shown = now + 0.2, True
            sys.stderr.write(f"\r\033[Kreading: {self._count:,} objects")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


class Known:
    """What was read, and what limits the answer.

    Attributes:
        manifests: What was read.
        cluster: A cluster was asked.
        unlisted: Kinds that it did not list.
        notes: What was left out, and what that means.
    """

    def __init__(self, manifests: Manifests, cluster: Cluster | None) -> None:
        self.manifests = manifests
        self.cluster = cluster is not None
        self.unlisted = cluster.unlisted if cluster else ()
        self.notes = [*map(_skipped, manifests.skipped), *unknown_ignores(manifests)]
        self.notes += cluster.notes if cluster else ()


def _skipped(skipped: Skipped) -> str:
    pipe = f": {skipped.render} | liveconfig audit -" * bool(skipped.render)
    return f"{skipped.path}: {skipped.reason}{pipe}"


def read_input(given: argparse.Namespace, progress: Progress) -> Known:
    """Read the manifests, and ask the cluster, if that was wished for.

    Raises:
        CannotAudit: The arguments do not fit together.
        KubectlMissing: There is no kubectl.
    """
    if not (given.paths or given.cluster):
        raise CannotAudit("give a PATH, - for standard input, or --cluster")
    if given.all_namespaces and not given.cluster:
        raise CannotAudit("-A asks a cluster for all namespaces: add --cluster")
    ref_paths = [_ref_path(text) for text in given.ref_path]
    cluster, namespace = None, given.namespace
    if given.cluster:
        scope = ["-n", namespace] if namespace else ["-A"] * given.all_namespaces
        cluster = read_cluster(Kubectl(given.context, progress.tick), scope, ref_paths, progress)
        namespace = cluster.namespace
    manifests = read(read_paths(given.paths), namespace=namespace, ref_paths=ref_paths, progress=progress)
    return Known(manifests.over(cluster.manifests) if cluster else manifests, cluster)


def _ref_path(text: str) -> RefPath:
    try:
        return parse_ref_path(text)
    except ValueError as error:
        problem = f"--ref-path: {error}"
    raise CannotAudit(problem)
