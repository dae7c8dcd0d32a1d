"""Mounts that show old content for ever, made with real mounts in a namespace of the test's own."""

from __future__ import annotations

import pytest

NAMESPACE = ("--mount", "--propagation", "private")


@pytest.mark.parametrize("how", ["replaced", "renamed", "deleted", "unwatched"])
def test_mounted_file(child, tmp_path, how):
    """K05: a single file that is mounted into the directory and replaced on the node: ERROR, stale, not healthy."""
    scene = child("mounted_file", tmp_path, "message", how, unshare=NAMESPACE)
    start = scene.report()
    assert start["values"][0] == "one"
    assert start["healthy"]
    assert start["live"]
    in_place = scene.go()
    assert in_place["values"][0] == "two"
    assert in_place["healthy"]
    assert in_place["errors"] == []
    replaced = scene.go()
    assert replaced["values"][0] == "two"
    assert not replaced["healthy"]
    assert not replaced["live"]
    assert replaced["stale"] == [["message", "stale-mount"]]
    assert replaced["told"] == ["stale-mount"]
    assert replaced["frozen"] == [{"message": "stale-mount (stale)"}]
    [line] = replaced["errors"]
    assert f"{tmp_path}/mount/message is a stale mount of a file" in line


def test_mounted_file_in_a_folder(child, tmp_path):
    """K05: a single file that is mounted into a folder of the directory is found to be stale too; others stay live."""
    scene = child("mounted_file", tmp_path, "db/user", "replaced", unshare=NAMESPACE)
    scene.report()
    assert scene.go()["values"] == ["default", "two"]
    replaced = scene.go()
    assert replaced["stale"] == [["db.user", "stale-mount"]]
    assert replaced["frozen"] == [{"db/user": "stale-mount (stale)"}]
    assert len(replaced["errors"]) == 1


def test_mounted_file_without_a_server(child, open_folder):
    """H03: a mounted file whose file system has lost its server makes the volume unreadable, until it is unmounted."""
    scene = child("mounted_file_without_a_server", open_folder, unshare=("--mount",))
    assert scene.report() == {"value": "one", "healthy": True, "faulty": False}
    assert scene.go() == {"value": "one", "healthy": False, "faulty": True}
    assert scene.go() == {"value": "below", "healthy": True, "faulty": False}


@pytest.mark.parametrize("how", ["orphaned", "failed"])
def test_unfinished_update(child, tmp_path, how):
    """H04: a volume on tmpfs whose update failed, removed under the container or not, is an ERROR and not healthy."""
    scene = child("unfinished_update", tmp_path, how, unshare=NAMESPACE)
    assert scene.report() == {"value": "one", "stale": [], "healthy": True, "errors": 0, "over": 0}
    failed = scene.go()
    assert failed == {"value": "one", "stale": ["stale-mount"], "healthy": False, "errors": 1, "over": 0}


def test_update_that_succeeds_later(child, tmp_path):
    """H04: an update that failed and succeeds at the next try is over: healthy, and logged."""
    scene = child("unfinished_update", tmp_path, "finished", unshare=NAMESPACE)
    scene.report()
    assert scene.go()["errors"] == 1
    assert scene.go() == {"value": "three", "stale": [], "healthy": True, "errors": 1, "over": 1}


def test_older_generation_left_over(child, tmp_path):
    """H04: a generation left over from before the one in use, however young its folder, is no sign of a failure."""
    scene = child("unfinished_update", tmp_path, "older", unshare=NAMESPACE)
    scene.report()
    assert scene.go() == {"value": "one", "stale": [], "healthy": True, "errors": 0, "over": 0}
