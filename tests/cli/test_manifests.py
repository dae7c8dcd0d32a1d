"""The manifests of the demo are applied in this order."""

from __future__ import annotations

from importlib.resources import files

import pytest

MANIFESTS = files("liveconfig") / "cli" / "manifests"
CONFIG = [
    "web-message",
    "edit-1-greeting",
    "edit-2-checkout-off",
    "edit-4-checkout-broken",
    "edit-5-checkout-corrected",
]


def keys(volume, name):
    volume.apply(MANIFESTS.joinpath(f"{name}.yaml").read_text("utf-8"))
    return {key: (volume.path / key).read_text() for key in _visible(volume)}


def _visible(volume):
    return [path.name for path in volume.path.iterdir() if not path.name.startswith("..")]


def test_config_map(kubelet_volume):
    """The greeting is edited, the flag goes off, breaks with the next greeting, and is corrected."""
    assert [keys(kubelet_volume, name) for name in CONFIG] == [
        {"message": "hello world", "checkout_enabled": "true"},
        {"message": "hello KodeKloud", "checkout_enabled": "true"},
        {"message": "hello KodeKloud", "checkout_enabled": "false"},
        {"message": "hello again", "checkout_enabled": "maybe"},
        {"message": "hello again", "checkout_enabled": "true"},
    ]


def test_secret(kubelet_volume):
    """The host ends with the line end that echo made, and the correction touches the password alone."""
    before = keys(kubelet_volume, "app-secrets")
    after = keys(kubelet_volume, "edit-3-password-corrected")
    assert before["mysql-host"] == after["mysql-host"] == "mysql\n"
    assert {key for key in before if before[key] != after[key]} == {"mysql-root-password"}


@pytest.mark.parametrize("name", sorted(path.name for path in MANIFESTS.iterdir()))
def test_every_manifest_says_what_it_is(name):
    """Each manifest begins with a sentence on its place in the story."""
    assert MANIFESTS.joinpath(name).read_text("utf-8").startswith("# ")
