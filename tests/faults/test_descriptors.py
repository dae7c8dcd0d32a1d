"""Descriptors that other code closes, and numbers that other code gets."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("how", ["here", "daemon"])
@pytest.mark.usefixtures("inotify")
def test_closed(child, open_folder, how):
    """G01: when every descriptor is closed, to become a daemon too, it watches anew, says so, and leaves others alone."""
    assert child("descriptors_closed", open_folder, how).report() == {
        "seen": ["two", "three"],
        "busy": False,
        "lines": 1,
        "sockets": True,
        "threads": 1,
    }


@pytest.mark.usefixtures("inotify")
def test_replaced(child, open_folder):
    """G01: an inotify descriptor of the application under our number is neither read nor closed, and ours is replaced."""
    scene = child("inotify_replaced", open_folder)
    assert scene.report() == {"seen": ["two", "three"], "events": 3, "kept": True}
    assert scene.go() == {"threads": 1}


@pytest.mark.usefixtures("inotify")
def test_number_taken(child, open_folder):
    """G04: a forked child does not close an inotify descriptor that got our number after close()."""
    assert child("number_taken", open_folder).report() == {"code": 0}
