"""The kinds that the command line names."""

from __future__ import annotations

import pytest

from liveconfig._manifests import is_kind, kind_of


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("deploy", "Deployment"),
        ("Deployments", "Deployment"),
        ("deployment.apps", "Deployment"),
        ("deployments.v1.apps", "Deployment"),
        ("sts", "StatefulSet"),
        ("ds", "DaemonSet"),
        ("rs", "ReplicaSet"),
        ("po", "Pod"),
        ("cj", "CronJob"),
        ("ing", "Ingress"),
        ("ingresses", "Ingress"),
        ("CM", "ConfigMap"),
        ("configmaps", "ConfigMap"),
        ("Secrets", "Secret"),
        ("sa", "ServiceAccount"),
        ("Widget", "Widget"),
        ("", ""),
    ],
)
def test_names_of_kinds(given: str, kind: str) -> None:
    """A kind is known by the names that kubectl takes, in any case, with or without its group."""
    assert kind_of(given) == kind


def test_kinds_that_are_not_known() -> None:
    """Of a custom resource the kind, its plural and its group are taken."""
    assert is_kind("Rollout", "rollouts.argoproj.io")
    assert is_kind("Rollout", "rollout")
    assert not is_kind("Rollout", "roll")
