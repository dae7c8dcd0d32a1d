"""A block of one settings object or one volume blocks nothing else."""

from __future__ import annotations

MOUNT_NAMESPACE = ("--mount",)


def test_hung_mount(child, open_folder):
    """G02: a mount that does not answer makes its volume unreadable; the other volume, other objects and later ones go on."""
    scene = child("hung_mount", open_folder, unshare=MOUNT_NAMESPACE)
    assert scene.report() == {
        "values": ["one", "one", "one"],
        "healthy": [True, True],
        "faults": [False, False],
        "errors": 0,
    }
    assert scene.go() == {
        "values": ["one", "three", "two"],
        "healthy": [False, True],
        "faults": [True, False],
        "errors": 1,
        "slow": False,
        "more threads": False,
    }
    assert scene.go() == {
        "values": ["two", "three", "two"],
        "healthy": [True, True],
        "faults": [False, False],
        "errors": 1,
    }
    assert scene.go() == {"threads": 1}


def test_ps_beside_a_hung_mount(child, open_folder):
    """G02: `liveconfig ps` ends within its time beside a mount that does not answer, and says which settings it holds up."""
    scene = child("ps_hung_mount", open_folder, unshare=MOUNT_NAMESPACE)
    for report in (scene.report(), scene.go()):
        assert report == {"code": 1, "states": ["unknown", "current"]}
    assert scene.go() == {"states": ["unknown", "current"], "more threads": False, "late": False}


def test_short_reads(child, open_folder):
    """H03: a file system whose reads are short does not make half a file of any length."""
    scene = child("short_reads", open_folder, unshare=MOUNT_NAMESPACE)
    assert scene.report() == [6, 7, 8, 100, 4096, 10_000]
