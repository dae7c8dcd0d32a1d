"""The behaviour that all commands share."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

import liveconfig


def test_version(run):
    """``--version`` names the version that ``import liveconfig`` has."""
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"liveconfig {liveconfig.__version__}\n", "")


def test_help(run):
    """``--help`` names each command, and that of explain its exit codes."""
    assert all(command in run("--help").stdout for command in ("demo", "watch", "explain"))
    assert "3 nothing is frozen, but" in " ".join(run("explain", "--help").stdout.split())


@pytest.mark.parametrize("arguments", [(), ("nothing",), ("watch",), ("--nothing", "watch"), ("--", "ps"), ("",)])
def test_misuse(run, arguments):
    """Without a command, or with an unknown one, it says how to use it: exit code 2."""
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: liveconfig")


def test_an_unknown_option(run):
    """An option that a command does not have is an error with the usage of that command: exit code 2."""
    done = run("explain", "app:App", "--format", "json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: liveconfig explain ")
    assert "liveconfig explain: error: unrecognized arguments: --format json" in done.stderr


@pytest.mark.parametrize("option", [("-o", "json"), ("--output", "json"), ("--json",)])
def test_output_as_json(run, tmp_path, option):
    """``explain`` and ``ps`` print JSON with each option that asks for it."""
    (tmp_path / "app.py").write_text("import liveconfig\nclass App(liveconfig.Settings): pass\n")
    assert json.loads(run("explain", "app:App", *option).stdout)["new_process"] is True
    assert json.loads(run("ps", *option).stdout)["schema"] == 1


def test_a_format_as_the_file_of_audit(run, tmp_path):
    """``audit --output json`` is an error that names ``-o json``, and writes no file."""
    (tmp_path / "app.json").write_text("{}")
    done = run("audit", "app.json", "--output", "json")
    assert (done.returncode, done.stderr) == (2, "liveconfig audit: --output takes a file; the format is -o json\n")
    assert not (tmp_path / "json").exists()


@pytest.mark.parametrize(
    "arguments",
    [("audit", "k8s.yaml"), ("check", "app:App", "k8s.yaml"), ("check", "app:App", "--diff", "k8s.yaml", "-")],
)
def test_without_pyyaml(run, tmp_path, arguments):
    """Where PyYAML is not installed, a command that reads manifests says so in one line: exit code 2."""
    (tmp_path / "yaml.py").write_text("raise ModuleNotFoundError(name='yaml')")
    (tmp_path / "app.py").write_text("import liveconfig\nclass App(liveconfig.Settings): pass\n")
    (tmp_path / "k8s.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\n")
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"liveconfig {arguments[0]}: YAML needs PyYAML, which is not installed: pip install")
    assert done.stderr.count("\n") == 1


def test_installed_command(run):
    """The command ``liveconfig`` is the same as ``python -m liveconfig``."""
    command = shutil.which("liveconfig", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("liveconfig is not installed beside this Python")
    assert run("--version", command=(command,)).stdout == run("--version").stdout


@pytest.mark.parametrize("command", ["ps", "audit app.yaml", "explain app:App", "explain --help", "watch .", "demo"])
@pytest.mark.parametrize(
    ("to", "problem"),
    [
        ("> /dev/full", "the output cannot be written: No space left on device"),
        (">&-", "standard output is closed"),
    ],
)
def test_output_that_cannot_be_written(run, tmp_path, command, to, problem):
    """I09: where the output cannot be written it says so in one line: exit code 2."""
    (tmp_path / "app.py").write_text("import liveconfig\nclass App(liveconfig.Settings): pass\n")
    (tmp_path / "app.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\n")
    done = run(*command.split(), before=("sh", "-c", f'exec "$@" {to}', "sh"), PYTHONUNBUFFERED="")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"liveconfig: {problem}\n")


@pytest.mark.parametrize("arguments", [("audit", "-"), ("check", "shop:App", "-")])
def test_closed_standard_input(run, module, arguments):
    """Standard input that is closed is one line and exit code 2."""
    module("shop", "from liveconfig import Settings\nclass App(Settings, volumes=['/x']): pass\n")
    done = run(*arguments, before=("sh", "-c", 'exec "$@" <&-', "sh"))
    assert done.returncode == 2
    assert done.stderr.startswith(f"liveconfig {arguments[0]}: -: standard input is closed\n")


def test_closed_standard_error(run, tmp_path):
    """Without standard error a command works, and its answer is the same."""
    (tmp_path / "app.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\n")
    without = ("sh", "-c", 'exec "$@" 2>&-', "sh")
    assert run("audit", "app.yaml", before=without).stdout == run("audit", "app.yaml").stdout != ""
    done = run("audit", "nowhere.yaml", before=without)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")
