"""Keys that the user of the process may not read."""

from __future__ import annotations

import os

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")


@pytest.mark.parametrize("mode", ["atomic", "plain"])
@pytest.mark.parametrize("closed", ["message", "db/user", "db"])
def test_key_that_may_not_be_read(child, open_folder, mode, closed):
    """I08: where a key or a folder of keys may not be read, the error at the start names it."""
    scene = child("unreadable", open_folder, mode, closed)
    assert scene.report() == f"App: /volume: {closed!r} may not be read: Permission denied"


@pytest.mark.parametrize("mode", ["atomic", "plain"])
def test_volume_that_may_not_be_read(child, open_folder, mode):
    """I08: where the volume itself may not be read, the error names the volume and no key."""
    scene = child("unreadable", open_folder, mode, ".")
    assert scene.report() == "App: /volume: it may not be read: Permission denied"


def test_key_of_an_update_that_may_not_be_read(child, open_folder):
    """I08: an update with a key that may not be read is rejected with the name of the key, until the next update."""
    scene = child("unreadable_later", open_folder)
    assert scene.report() == {
        "fields": ["db/user"],
        "reason": "/volume: 'db/user' may not be read: Permission denied",
        "message": "one",
    }
    assert scene.go() == {"healthy": True, "user": "3"}
