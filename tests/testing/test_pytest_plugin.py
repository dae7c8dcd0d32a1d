"""The fixtures that every user of liveconfig gets, and what they cost who does not use them."""

from __future__ import annotations

import os
import subprocess
import sys

from liveconfig.testing import KubeletVolume


def run(*arguments, cwd):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=env, timeout=60, check=False, capture_output=True, text=True
    )


def test_kubelet_volume(kubelet_volume, tmp_path):
    """`kubelet_volume` is an empty volume below tmp_path."""
    assert isinstance(kubelet_volume, KubeletVolume)
    assert kubelet_volume.path.parent == tmp_path
    assert kubelet_volume.generation is None


def test_make_kubelet_volume(make_kubelet_volume, tmp_path):
    """`make_kubelet_volume` makes several by name and hands its arguments on."""
    config, secrets = make_kubelet_volume("config"), make_kubelet_volume("secrets", legacy=True)
    assert (config.path, secrets.path) == (tmp_path / "config", tmp_path / "secrets")
    config.write({"key": "x"})
    secrets.write({"key": "x"})
    assert "permit" not in set(config.steps({"key": "y"}))
    assert "permit" in set(secrets.steps({"key": "y"}))


def test_plugin_imports_nothing(tmp_path):
    """The plugin imports nothing of liveconfig, nor what it stands on, until a fixture is used."""
    names = "('liveconfig', 'pydantic', 'watchdog', 'blinker', 'yaml')"
    program = f"import sys, _liveconfig_pytest; print(sorted(set(sys.modules) & set({names})))"
    result = run("-c", program, cwd=tmp_path)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")


def test_session_of_a_user(tmp_path, request):
    """In a user's session the fixtures are there, and liveconfig is imported when the first one is used."""
    (tmp_path / "test_user.py").write_text(
        "import sys\n"
        "def test_before():\n    assert 'liveconfig' not in sys.modules\n"
        "def test_use(kubelet_volume):\n    kubelet_volume.write({'message': 'hello'})\n"
        "def test_after():\n    assert 'liveconfig' in sys.modules\n"
    )
    installed = request.config.pluginmanager.has_plugin("liveconfig")
    plugin = [] if installed else ["-p", "_liveconfig_pytest"]
    result = run(
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        "-p",
        "no:cacheprovider",
        *plugin,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 passed" in result.stdout
