"""The kinds of Kubernetes objects that the command line names, and kubectl's other names for them."""

from __future__ import annotations

from typing import Final

_OTHER_NAMES: Final = {
    "ConfigMap": "cm",
    "Secret": "",
    "Deployment": "deploy",
    "StatefulSet": "sts",
    "DaemonSet": "ds",
    "ReplicaSet": "rs",
    "ReplicationController": "rc",
    "CronJob": "cj",
    "Job": "",
    "Pod": "po",
    "Ingress": "ing",
    "ServiceAccount": "sa",
}
_BY_NAME: Final = {
    name: kind
    for kind, short in _OTHER_NAMES.items()
    for name in (short, kind.lower(), f"{kind.lower()}{'es' * kind.endswith('s') or 's'}")
    if name
}


def kind_of(given: str) -> str:
    """The kind that kubectl understands by a name (``deploy``, ``Deployments``, ``deployment.apps``).

    Args:
        given: The name, in any case, with or without a group.

    Returns:
        The kind as a manifest has it; for a kind that is not known here, the name without its group.
    """
    name = given.partition(".")[0]
    return _BY_NAME.get(name.lower(), name)


def is_kind(kind: str, given: str) -> bool:
    """Whether a name, as kubectl takes it, means a kind; of one that is not known here, the plural with ``s`` too."""
    return kind_of(given).lower() in (kind.lower(), f"{kind.lower()}s")
