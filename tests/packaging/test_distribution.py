"""The files of sdist and wheel, and an installation of the wheel only."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

import liveconfig

ROOT = Path(__file__).parents[2]
CORE = ("blinker", "pydantic", "pydantic-settings", "watchdog")


def run(*command, **options):
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=150, **options)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The sdist, and the wheel that is built from it."""
    target = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(ROOT))
    [sdist], [wheel] = target.glob("*.tar.gz"), target.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="session")
def python(built, tmp_path_factory):
    """The interpreter of a new environment: the wheel, and the packages that it needs, which are lent from ours."""
    home = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", str(home))
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python")]
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", str(built[1]))
    [own] = home.glob("lib/python*/site-packages")
    (own / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return str(home / "bin" / "python")


def test_a_second_build_has_the_same_bytes(built, tmp_path):
    """Two builds of the same source, at different times, give the same sdist and the same wheel."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT))
    assert [(tmp_path / each.name).read_bytes() == each.read_bytes() for each in built] == [True, True]


def test_the_metadata_is_what_an_index_accepts(built):
    """``twine check --strict`` finds nothing wrong."""
    ran = run(sys.executable, "-m", "twine", "check", "--strict", *map(str, built))
    assert ran.stdout.count("PASSED") == 2


def test_wheel_holds_the_package_and_nothing_else(built):
    """The wheel holds each file of the package, the plugin, the manifests of the demo, `py.typed` and the licence."""
    with zipfile.ZipFile(built[1]) as wheel:
        names = set(wheel.namelist())
    metadata = {name for name in names if ".dist-info/" in name}
    sources = (path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert names - metadata == {str(path.relative_to(ROOT / "src")) for path in sources}
    assert {"liveconfig/py.typed", "liveconfig/cli/manifests/web-message.yaml", "_liveconfig_pytest.py"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in metadata)


def test_sdist_holds_what_builds_and_tests_it(built):
    """The sdist holds the sources, the tests, the pages and the examples, and nothing that was built."""
    with tarfile.open(built[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "Makefile", "README.md", "LICENSE", "src/liveconfig/__init__.py"} <= names
    assert {"tests/conftest.py", "docs/tutorial.md", "examples/plain/app.py", "benchmarks/soak.py"} <= names
    assert not [name for name in names if "/_build/" in name or "__pycache__" in name or name.startswith(".venv")]


def test_the_wheel_is_what_is_imported(python, tmp_path):
    """Installed without the sources, the import raises no warning, and comes from the installation."""
    home = Path(python).parents[1]
    printed = run(python, "-W", "error", "-c", "import liveconfig; print(liveconfig.__file__)", cwd=tmp_path).stdout
    assert Path(printed.strip()).is_relative_to(home)


def test_the_command_is_installed(python, tmp_path):
    """`liveconfig --version` and `python -m liveconfig --version` print the version."""
    command = str(Path(python).with_name("liveconfig"))
    for printed in (
        run(command, "--version", cwd=tmp_path),
        run(python, "-m", "liveconfig", "--version", cwd=tmp_path),
    ):
        assert liveconfig.__version__ in printed.stdout


def test_the_wheel_follows_a_volume(python, tmp_path):
    """The installed package does its main job, and its plugin brings the fixtures to a user's tests."""
    (tmp_path / "test_user.py").write_text(
        "from liveconfig import Settings\n"
        "class App(Settings):\n    message: str = 'none'\n"
        "def test_follows(kubelet_volume):\n"
        "    kubelet_volume.write({'message': 'one'})\n"
        "    with App.load(_volumes=kubelet_volume.path).live as live:\n"
        "        kubelet_volume.write({'message': 'two'})\n"
        "        assert live.wait(lambda s: s.message == 'two', 60)\n"
    )
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = run(
        python,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        "-p",
        "no:cacheprovider",
        cwd=tmp_path,
        env=clean,
    )
    assert "1 passed" in ran.stdout


def test_the_core_needs_four_packages(built):
    """The core requires four packages; all other packages are extras with the names of their tools."""
    with zipfile.ZipFile(built[1]) as wheel:
        [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        lines = wheel.read(name).decode().splitlines()
    needed = [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")]
    core = sorted(re.match(r"[\w-]+", each)[0] for each in needed if "extra ==" not in each)
    assert tuple(core) == CORE
    assert "Name: kube-liveconfig" in lines


def test_a_copy_is_not_tested(tmp_path):
    """A test run that would import an installed copy of liveconfig stops, and says how to repair the installation."""
    copy = tmp_path / "liveconfig"
    shutil.copytree(ROOT / "src" / "liveconfig", copy)
    command = [sys.executable, "-m", "pytest", "--co", "-q", "-p", "no:cacheprovider", "tests/test_events.py"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"the tests would run against {copy}" in ran.stderr
    assert "make test" in ran.stderr
