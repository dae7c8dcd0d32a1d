"""The comparison of what a process uses with its disk: volumes that are gone, unreadable, or changed just now."""

from __future__ import annotations

import os
import shutil
import time

import pytest

from liveconfig import Settings, SettingsConfigDict, processes
from liveconfig._processes import disk_check


class App(Settings):
    model_config = SettingsConfigDict(watch=False)
    message: str = "unset"


def report_of(path):
    """What this process reports of the settings of one volume; those of earlier tests may still be in the report."""
    [process] = processes(os.getpid())
    [report] = [each for each in process.settings if [one.path for one in each.volumes] == [str(path)]]
    return report


@pytest.fixture
def without_grace(monkeypatch):
    """A difference counts at once."""
    monkeypatch.setattr(disk_check, "GRACE", -1.0)


def grow_old(grace=disk_check.GRACE):
    """Wait until what was written is older than a swap."""
    time.sleep(grace + 0.2)


@pytest.fixture
def plain(tmp_path):
    """A plain volume with a folder."""
    volume = tmp_path / "plain"
    (volume / "db").mkdir(parents=True)
    (volume / "message").write_text("one")
    (volume / "db" / "user").write_text("one")
    return volume


def lose_directory(volume):
    os.rename(volume.path, f"{volume.path}-away")


def lose_link(volume):
    os.unlink(volume.path / "..data")


@pytest.mark.parametrize("lose", [lose_directory, lose_link])
def test_a_volume_that_disappeared(kubelet_volume, load, monkeypatch, lose):
    """A volume that nothing follows and that disappeared makes the report unhealthy, once that is older than a swap."""
    kubelet_volume.write({"message": "one"})
    load(App, _volumes=kubelet_volume.path)
    generation = kubelet_volume.generation
    lose(kubelet_volume)
    assert report_of(kubelet_volume.path).healthy
    monkeypatch.setattr(disk_check, "GRACE", -1.0)
    report = report_of(kubelet_volume.path)
    assert (report.state, report.healthy, report.volumes[0].on_disk) == ("closed", False, None)
    assert f"{kubelet_volume.path} has disappeared; the process uses {generation}" in report.problems


@pytest.mark.usefixtures("without_grace")
def test_a_plain_volume_that_disappeared(plain, load):
    """A plain volume that disappeared makes the report unhealthy too."""
    load(App, _volumes=plain)
    shutil.rmtree(plain)
    report = report_of(plain)
    assert (report.state, report.healthy) == ("closed", False)
    assert f"{plain} has disappeared; the process uses plain-1" in report.problems


@pytest.mark.usefixtures("without_grace")
def test_a_volume_that_cannot_be_looked_at(kubelet_volume, load):
    """A volume that cannot be looked at makes the state unknown, and the problem says why."""
    kubelet_volume.write({"message": "one"})
    load(App, _volumes=kubelet_volume.path)
    lose_directory(kubelet_volume)
    os.symlink(kubelet_volume.path, kubelet_volume.path)  # as EACCES, which root does not get
    report = report_of(kubelet_volume.path)
    assert (report.state, report.healthy) == ("unknown", False)
    assert f"{kubelet_volume.path} cannot be looked at: Too many levels of symbolic links" in report.problems


@pytest.mark.usefixtures("without_grace")
def test_a_process_that_rejects(kubelet_volume, load):
    """A process that says itself that its volume has disappeared stays in the state rejected, with its own problem."""
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    lose_directory(kubelet_volume)
    assert not settings.live.reload()
    report = report_of(kubelet_volume.path)
    assert (report.state, len(report.problems)) == ("rejected", 1)


@pytest.mark.usefixtures("without_grace")
def test_a_volume_that_was_never_there(tmp_path, load):
    """A volume that is missing, and was missing at the start, is no difference."""
    load(App, _volumes=tmp_path / "none")
    assert report_of(tmp_path / "none").healthy


@pytest.mark.usefixtures("without_grace")
def test_a_process_that_has_ended(kubelet_volume, load):
    """The volumes of a process that ends during the comparison have not disappeared."""
    kubelet_volume.write({"message": "one"})
    load(App, _volumes=kubelet_volume.path)
    report = report_of(kubelet_volume.path)
    [compared] = disk_check.compare([(report, f"/proc/{2**31 - 1}/root")])
    assert compared.healthy


def write_in_place(volume):
    (volume / "db" / "user").write_text("two")


def remove_in_folder(volume):
    (volume / "db" / "user").unlink()


@pytest.mark.parametrize("change", [write_in_place, remove_in_folder])
def test_a_change_in_a_folder(plain, load, change):
    """A change in a folder of a plain volume is a difference only once it is older than a swap."""
    load(App, _volumes=plain)
    grow_old()
    change(plain)
    assert report_of(plain).healthy
    grow_old()
    assert not report_of(plain).healthy


def test_a_link_to_old_files(plain, tmp_path, load):
    """A link that is turned to files which are older than a swap, as git-sync does, is a difference once it is old."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "message").write_text("two")
    link = tmp_path / "link"
    link.symlink_to(plain)
    load(App, _volumes=link)
    grow_old()
    (tmp_path / "new").symlink_to(other)
    os.rename(tmp_path / "new", link)
    assert report_of(link).healthy
    grow_old()
    assert not report_of(link).healthy


def test_a_link_to_another_generation(make_kubelet_volume, tmp_path, load):
    """A link that is turned to another volume of the kubelet is a difference only once it is older than a swap."""
    first, second = make_kubelet_volume("first"), make_kubelet_volume("second")
    first.write({"message": "one"})
    second.write({"message": "two"})
    link = tmp_path / "link"
    link.symlink_to(first.path)
    load(App, _volumes=link)
    grow_old()
    (tmp_path / "new").symlink_to(second.path)
    os.rename(tmp_path / "new", link)
    assert report_of(link).healthy
    grow_old()
    assert not report_of(link).healthy
