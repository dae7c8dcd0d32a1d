"""The fixtures of the pytest plugin, and their cost without use."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

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


@pytest.mark.parametrize("name", ["/etc/secrets", "../secrets", "a/../../secrets"])
def test_a_name_that_leads_out(make_kubelet_volume, name):
    """A volume is always below tmp_path: the path of a mount in a pod, or one with `..`, is an error."""
    with pytest.raises(ValueError, match="would not be below tmp_path: use a name such as 'secrets'"):
        make_kubelet_volume(name)


def test_plugin_imports_nothing(tmp_path):
    """The plugin imports nothing of liveconfig, nor what it stands on, until a fixture is used."""
    names = "('liveconfig', 'pydantic', 'watchdog', 'blinker', 'yaml')"
    program = f"import sys, _liveconfig_pytest; print(sorted(set(sys.modules) & set({names})))"
    result = run("-c", program, cwd=tmp_path)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")


PLAIN = """
import sys

def test_before():
    assert "liveconfig" not in sys.modules

def test_use(kubelet_volume):
    kubelet_volume.write({"message": "hello"})

def test_after():
    assert "liveconfig" in sys.modules
"""

ASYNCHRONOUS = """
import pytest
import pytest_asyncio
from liveconfig import Settings

class App(Settings):
    message: str = ""

@pytest_asyncio.fixture
async def settings(kubelet_volume):
    kubelet_volume.write({"message": "one"})
    settings = App.load(_volumes=[kubelet_volume.path])
    async with settings.live:
        yield settings

@pytest.mark.asyncio
async def test_a_coroutine_subscriber(settings, kubelet_volume):
    seen = []

    @settings.live.on_change("message")
    async def note(change):
        seen.append(change.new)

    kubelet_volume.update({"message": "two"})
    assert await settings.live.areload()
    assert seen == ["two"]

@pytest.mark.asyncio
async def test_two_volumes(make_kubelet_volume):
    assert make_kubelet_volume("a").path != make_kubelet_volume("b").path
"""


def session(tmp_path, request, source, *options):
    """A session of a user, in a process of its own."""
    (tmp_path / "test_user.py").write_text(source)
    installed = request.config.pluginmanager.has_plugin("liveconfig")
    plugin = [] if installed else ["-p", "_liveconfig_pytest"]
    return run(
        *("-m", "pytest", "-q", "-W", "error", "-o", "asyncio_default_fixture_loop_scope=function"),
        *("-p", "no:cacheprovider", *plugin, *options),
        cwd=tmp_path,
    )


def test_session_of_a_user(tmp_path, request):
    """In a user's session the fixtures are there, and liveconfig is imported when the first one is used."""
    result = session(tmp_path, request, PLAIN)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 passed" in result.stdout


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_under_pytest_asyncio(tmp_path, request, mode):
    """The fixtures work in asynchronous tests and fixtures, in both modes of pytest-asyncio."""
    source = ASYNCHRONOUS.replace("@pytest.mark.asyncio\n", "") if mode == "auto" else ASYNCHRONOUS
    result = session(tmp_path, request, source, "-o", f"asyncio_mode={mode}")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 passed" in result.stdout


@pytest.mark.parametrize("distribution", ["load", "each"])
def test_under_xdist(tmp_path, request, distribution):
    """Each worker of pytest-xdist has volumes of its own."""
    pytest.importorskip("xdist")
    result = session(tmp_path, request, ASYNCHRONOUS, "-n", "2", "--dist", distribution)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{2 if distribution == 'load' else 4} passed" in result.stdout
