"""``liveconfig ps``: the table, its JSON and its exit codes."""

from __future__ import annotations

import hmac
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from liveconfig._processes import ProcessReport, Scan, SettingsReport, VolumeReport, scan
from liveconfig.cli import main
from liveconfig.cli.ps import lines

KEY = bytes(range(32))
PROGRAM = """
import sys
from liveconfig import Settings, SettingsConfigDict

class App(Settings):
    model_config = SettingsConfigDict(volumes=sys.argv[1])
    message: str = "unset"
    port: int = 1

settings = App.load()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def running(kubelet_volume):
    """The number of a process that follows ``kubelet_volume``."""
    kubelet_volume.write({"message": "one"})
    command = [sys.executable, "-c", PROGRAM, str(kubelet_volume.path)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout.readline() == "ready\n"
    yield process.pid
    process.stdin.close()
    process.stdout.close()
    process.wait(20)


def ps(capsys, *arguments):
    code = main(["ps", *arguments])
    return code, capsys.readouterr().out


def row_of(output, pid):
    return next(line for line in output.splitlines() if line.split(maxsplit=1)[0] == str(pid))


def digest(text):
    return hmac.new(KEY, text.encode(), "sha256").hexdigest()


def document(tmp_path, **content):
    path = tmp_path / "expected.json"
    path.write_text(json.dumps({"version": 1, "key": KEY.hex(), "volumes": {}, **content}))
    return str(path)


def test_table(capsys, running, kubelet_volume):
    """The table has one row for each process and settings object, with the state and the generation."""
    _, output = ps(capsys)
    assert output.split()[:7] == ["PID", "COMMAND", "SETTINGS", "STATE", "GENERATION", "APPLIED", "PROBLEM"]
    row = row_of(output, running)
    assert "__main__.App" in row
    assert " current " in row
    assert kubelet_volume.generation in row


def test_json(capsys, running, kubelet_volume):
    """``--json`` prints one object with the field names of the records."""
    _, output = ps(capsys, "--json")
    data = json.loads(output)
    assert data["schema"] == 1
    assert isinstance(data["skipped"], int)
    [process] = [each for each in data["processes"] if each["pid"] == running]
    assert process["settings"][0]["state"] == "current"
    assert process["settings"][0]["volumes"][0]["generation"] == kubelet_volume.generation


def test_a_rejection(capsys, running, kubelet_volume):
    """A process that rejects what is on disk makes exit code 1, with the reason in its row, and what it uses."""
    kubelet_volume.write({"port": "x"})
    deadline = time.monotonic() + 20
    while "rejected" not in row_of(ps(capsys)[1], running):
        assert time.monotonic() < deadline
    code, output = ps(capsys)
    assert code == 1
    assert "port" in output
    assert row_of(output, running).endswith("; the last good configuration stays in use")


def test_a_long_problem_of_several_volumes():
    """A problem that is longer than its line goes on beside the other volumes, then below them."""
    volumes = tuple(
        VolumeReport(f"/etc/{name}", "atomic", "..2026_11_28_16_26_18.8104366", None, None) for name in ("one", "two")
    )
    settings = SettingsReport("app.App", 1, "rejected", False, ("word " * 30,), volumes)
    printed = list(lines(Scan((ProcessReport(7, 1, "python", None, (settings,)),), 0), lambda cell, _: cell, 100))
    header, *rows = printed
    column = header.index("PROBLEM")
    assert [row[header.index("GENERATION") : header.index("APPLIED")].strip() for row in rows[:3]] == [
        "one 16:26:18 (8104)",
        "two 16:26:18 (8104)",
        "",
    ]
    assert " ".join(row[column:] for row in rows) == "word " * 30 + "; the last good configuration stays in use"


@pytest.mark.parametrize(
    ("width", "missing", "name"),
    [
        (120, "", "shop.live.AppSettings"),
        (110, "", "AppSettings"),
        (100, "APPLIED", "AppSettings"),
        (80, "APPLIED GENERATION", "AppSettings"),
        (60, "APPLIED GENERATION COMMAND", "AppSettings"),
    ],
)
def test_a_narrow_terminal(width, missing, name):
    """A narrow terminal does not show the least useful columns; which process has which state stays longest."""
    volumes = tuple(
        VolumeReport(f"/etc/{each}", "atomic", "..2026_11_28_16_26_18.8104366", None, None)
        for each in ("config", "secret")
    )
    settings = SettingsReport("shop.live.AppSettings", 1, "rejected", False, ("word " * 30,), volumes)
    found = Scan(tuple(ProcessReport(pid, 1, "python gunicorn", None, (settings,)) for pid in (1234, 1235)), 0)
    header, *rows = lines(found, lambda cell, _: cell, width)
    every = ["PID", "COMMAND", "SETTINGS", "STATE", "GENERATION", "APPLIED", "PROBLEM"]
    assert header.split() == [title for title in every if title not in missing.split()]
    assert max(map(len, rows)) <= width
    assert all(row[header.index("PROBLEM") :].strip() for row in rows)
    assert [row[header.index("SETTINGS") : header.index("STATE")].strip() for row in rows if row[0] != " "] == [
        name
    ] * 2


def test_short_names_differ():
    """Settings classes of one name keep their modules on a narrow terminal."""
    settings = (SettingsReport(f"{module}.Settings", 1, "current", True, (), ()) for module in ("shop", "mail"))
    found = Scan((ProcessReport(7, 1, "python", None, tuple(settings)),), 0)
    assert [line.split()[-3] for line in lines(found, lambda cell, _: cell, 40)] == [
        "SETTINGS",
        "shop.Settings",
        "mail.Settings",
    ]


def test_a_table_that_fits():
    """A table without problems has all its columns as long as these fit."""
    settings = SettingsReport("shop.live.AppSettings", 1, "current", True, (), ())
    found = Scan((ProcessReport(1234, 1, "python gunicorn", None, (settings,)),), 0)
    every = list(lines(found, lambda cell, _: cell, None))
    assert list(lines(found, lambda cell, _: cell, max(map(len, every)))) == every


def test_wait(capsys, running, kubelet_volume):
    """``--wait`` returns 1 after its time when a process does not become current."""
    kubelet_volume.write({"port": "x"})
    deadline = time.monotonic() + 20
    while "rejected" not in row_of(ps(capsys)[1], running):
        assert time.monotonic() < deadline
    assert ps(capsys, "--wait", "0.3")[0] == 1


def test_expected(capsys, running, kubelet_volume, tmp_path):
    """``--expect`` shows for each volume whether it holds the expected keys and values."""
    path = str(kubelet_volume.path)
    for digests, expected in [
        ({"message": digest("one")}, "equal"),
        ({"message": digest("two")}, "different"),
        ({"message": digest("one"), "port": digest("1")}, "different"),
        ({}, "different"),
        (None, "unknown"),
    ]:
        code, output = ps(capsys, "--json", "--expect", document(tmp_path, volumes={path: digests}))
        data = json.loads(output)
        assert [each["expected"] for each in data["disk"]] == [expected]
        [process] = [each for each in data["processes"] if each["pid"] == running]
        assert process["settings"][0]["volumes"][0]["expected"] == expected
        assert code == 1 or expected != "different"


def test_expected_files_and_variables(capsys, tmp_path, monkeypatch):
    """``--expect`` compares subPath files and variables of the environment too."""
    (tmp_path / "single").write_text("one")
    monkeypatch.setenv("MESSAGE", "two")
    expected = document(
        tmp_path,
        files={str(tmp_path / "single"): digest("one"), str(tmp_path / "none"): digest("one")},
        environment={"MESSAGE": digest("one"), "OTHER": None},
    )
    _, output = ps(capsys, "--json", "--expect", expected)
    assert [each["expected"] for each in json.loads(output)["disk"]] == ["equal", "unknown", "different", "unknown"]


def _whole(**parts):
    return json.dumps({"version": 1, "key": "00", "volumes": {}, **parts})


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"version": 2}',
        '{"version": 1}',
        '{"version": 1, "key": "x"}',
        _whole(volumes=[]),
        _whole(volumes={"/a": ["x"]}),
        _whole(volumes={"/a": {"x": "no digest"}}),
        _whole(volumes={"/a": {"x": "\u00e4" * 64}}),
        _whole(volumes={"/a\0b": None}),
        _whole(volumes={"/\ud800": None}),
        _whole(beside="/a"),
        _whole(beside={"/a": "x"}),
        _whole(beside={"/a": [5]}),
        _whole(files={"/a": 5}),
        _whole(environment=[["A", "B"]]),
    ],
)
def test_a_bad_document(capsys, tmp_path, content):
    """A document that cannot be read is one line on standard error and exit code 2."""
    (tmp_path / "bad").write_text(content)
    assert main(["ps", "--expect", str(tmp_path / "bad")]) == 2
    assert capsys.readouterr().err.startswith("liveconfig ps: --expect ")


def test_a_document_that_is_not_there(capsys, tmp_path):
    """A file that does not exist is one line on standard error and exit code 2."""
    assert main(["ps", "--expect", str(tmp_path / "none")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_what_should_not_be_there(capsys, tmp_path, monkeypatch):
    """``--expect`` compares a variable and a file that should not exist."""
    monkeypatch.setenv("MESSAGE", "two")
    (tmp_path / "single").write_text("one")
    expected = document(
        tmp_path,
        files={str(tmp_path / "single"): "", str(tmp_path / "none"): ""},
        environment={"MESSAGE": "", "LIVECONFIG_NO_SUCH": ""},
    )
    _, output = ps(capsys, "--json", "--expect", expected)
    found = [each["expected"] for each in json.loads(output)["disk"]]
    assert found == ["different", "equal", "unknown", "equal"]  # an image can set a variable


def test_expected_beside_other_files(capsys, running, kubelet_volume, tmp_path):
    """A file of another source, as a token, is not compared; a key that should be gone is, unless any file may be there."""
    path = str(kubelet_volume.path)
    kubelet_volume.write({"message": "one", "token": "t"})
    for beside, digests, expected in [
        (["token"], {"message": digest("one")}, "equal"),
        (["token"], {}, "different"),
        (["token", "ca.crt"], {"message": digest("one")}, "equal"),
        ([], {"message": digest("one")}, "different"),
        (None, {}, "equal"),
        (None, {"message": digest("two")}, "different"),
        (None, {"other": digest("one")}, "different"),
    ]:
        text = document(tmp_path, volumes={path: digests}, beside={path: beside})
        assert json.loads(ps(capsys, "--json", "--expect", text)[1])["disk"][0]["expected"] == expected


def test_expected_through_a_link(capsys, running, kubelet_volume, tmp_path):
    """A volume that a process names by a link to the mount point is that volume."""
    mount = tmp_path / "mount"
    mount.symlink_to(kubelet_volume.path)
    text = document(tmp_path, volumes={str(mount): {"message": digest("one")}})
    data = json.loads(ps(capsys, "--json", "--expect", text)[1])
    assert data["disk"][0]["followed_as"] == [str(kubelet_volume.path)]
    [process] = [each for each in data["processes"] if each["pid"] == running]
    assert process["settings"][0]["volumes"][0]["expected"] == "equal"


def test_expected_beside_a_mount_that_hangs(capsys, running, kubelet_volume, tmp_path, monkeypatch):
    """A mount that hangs is unknown, and costs neither the comparison of the others nor the answer as a whole."""
    path, hung = str(kubelet_volume.path), str(tmp_path / "hung")
    text = document(tmp_path, volumes={path: {"message": digest("one")}, hung: {}})
    monkeypatch.setattr("liveconfig.cli.ps.LONGEST", 4.0)
    monkeypatch.setattr("liveconfig._processes.expected_content.LONGEST", 2.2)
    for module, name in ((os, "readlink"), (os.path, "realpath")):
        monkeypatch.setattr(module, name, hangs_at(hung, getattr(module, name)))
    _, output = ps(capsys, "--json", "--expect", text)
    data = json.loads(output)
    assert [(each["path"], each["expected"]) for each in data["disk"]] == [(path, "equal"), (hung, "unknown")]
    [process] = [each for each in data["processes"] if each["pid"] == running]
    assert process["settings"][0]["volumes"][0]["expected"] == "equal"


def hangs_at(place, call):
    """The call, which does not return for a place and for what is below it."""

    def called(path, *more, **options):
        if str(path).startswith(place):
            time.sleep(60)
        return call(path, *more, **options)

    return called


def test_standard_input_is_closed(capsys, monkeypatch):
    """``--expect -`` without standard input is one line on standard error and exit code 2."""
    monkeypatch.setattr("sys.stdin", None)
    assert main(["ps", "--expect", "-"]) == 2
    assert "standard input is closed" in capsys.readouterr().err


def test_the_standard_library_only():
    """The command imports no package but liveconfig and the standard library."""
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"  # what the interpreter itself imports at its start
        "from liveconfig.cli import main\n"
        "main(['ps'])\n"
        "loaded = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(*loaded - sys.stdlib_module_names - {'liveconfig'})"
    )
    ran = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = {name for name in ran.stdout.splitlines()[-1].split() if not name.startswith(("__editable", "_"))}
    assert not loaded, loaded


def test_nothing_to_see(tmp_path):
    """Without a process with live settings the exit code is 2, and one line says so."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-m", "liveconfig", "ps"]
    if os.geteuid():
        command[1:1] = ["--user", "--map-root-user"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 2
    assert ran.stdout == "No process with live settings is visible.\n"


@pytest.mark.parametrize(
    ("skipped", "sentence"), [(1, "1 other process belongs to another user and was"), (2, "2 other processes belong")]
)
def test_processes_of_another_user(skipped, sentence):
    """Processes of another user are counted in a sentence, beside other processes and alone."""
    others = Scan(processes=(), skipped=skipped)
    assert sentence in "".join(lines(others, lambda cell, _: cell, None))


def test_no_answer(capsys, monkeypatch):
    """G02: where /proc or a volume does not answer at all, it is one line on standard error and exit code 2, in time."""
    monkeypatch.setattr("liveconfig.cli.ps.LONGEST", 0.3)
    monkeypatch.setattr("liveconfig.cli.ps.scan", lambda: os.kill(os.getpid(), signal.SIGSTOP))
    assert main(["ps"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == "liveconfig ps: /proc or a volume did not answer within 0.3 s\n"


def test_no_answer_while_waiting(capsys, running, tmp_path, monkeypatch):
    """``--wait`` goes on after a check without an answer, and returns what a later check finds."""
    first = tmp_path / "first"
    first.touch()

    def stops_once(**options):
        if first.exists():
            first.unlink()
            os.kill(os.getpid(), signal.SIGSTOP)
        found = scan(**options)
        return replace(found, processes=tuple(each for each in found.processes if each.pid == running))

    monkeypatch.setattr("liveconfig.cli.ps.LONGEST", 2.0)
    monkeypatch.setattr("liveconfig.cli.ps.scan", stops_once)
    assert ps(capsys, "--wait", "60")[0] == 0
    assert not first.exists()
