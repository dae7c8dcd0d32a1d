"""Each optional dependency, missing by itself: what needs it says so, and nothing else breaks."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from pkgutil import iter_modules

import pytest

import liveconfig.integrations
from liveconfig._distribution import install_command

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    module.name for module in iter_modules(liveconfig.integrations.__path__) if not module.name.startswith("_")
)
NEEDS = {
    "aiohttp": {"aiohttp", "yarl"},
    "asgi": set(),
    "asyncpg": {"asyncpg"},
    "celery": {"amqp", "celery", "click", "kombu"},
    "credentials": set(),
    "django": {"django"},
    "fastapi": {"fastapi", "opentelemetry", "starlette"},
    "flask": {"click", "flask"},
    "grpc": {"grpc"},
    "httpx": {"httpx"},
    "keys": set(),
    "openfeature": {"openfeature"},
    "opentelemetry": {"opentelemetry"},
    "prometheus": {"prometheus_client"},
    "psycopg": {"psycopg", "psycopg_pool"},
    "redis": {"redis"},
    "requests": {"requests"},
    "sqlalchemy": {"sqlalchemy"},
    "tls": set(),
}
OPTIONAL = sorted({"yaml"}.union(*NEEDS.values()))

PROGRAM = """
import importlib, sys
missing, modules = sys.argv[1], sys.argv[2:]
sys.modules[missing] = None  # as the import system has it for what cannot be found
import liveconfig, liveconfig.testing, liveconfig.cli
for module in modules:
    try:
        importlib.import_module(f"liveconfig.integrations.{module}")
    except ModuleNotFoundError as error:
        print(module, error.name.partition(".")[0], error, error.__cause__, error.__suppress_context__, sep=" | ")
"""


@pytest.mark.parametrize("missing", OPTIONAL)
def test_only_what_needs_it_fails(missing):
    """Without one optional dependency all imports work but that of its integration, which names it and how to install it."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, missing, *MODULES]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        f"{module} | {missing} | liveconfig.integrations.{module} needs {missing}, which is not installed: "
        f"{install_command(module)} | None | True"
        for module in MODULES
        if missing in NEEDS[module]
    ]


def test_each_integration_is_listed_here():
    """Each integration says what it needs, here and as an extra that is named after it."""
    assert set(MODULES) == set(NEEDS)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(extras) == {module for module, needs in NEEDS.items() if needs} | {"asgi", "yaml"}  # asgi's brings HTML


def test_async_engines_need_greenlet():
    """S08: the extra for SQLAlchemy brings greenlet, which async engines need."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert any(each.startswith("greenlet") for each in extras["sqlalchemy"])


def test_yaml_says_what_it_needs(kubelet_volume, tmp_path):
    """Without PyYAML a document in YAML is refused at the start, and the error says how to install it."""
    kubelet_volume.write({"app.yaml": "message: one"})
    program = (
        "import sys; sys.modules['yaml'] = None\n"
        "from liveconfig import InvalidSettingsError, Settings, SettingsConfigDict\n"
        "class App(Settings):\n"
        "    model_config = SettingsConfigDict(volumes=[sys.argv[1]], documents=['app.yaml'])\n"
        "    message: str = ''\n"
        "try:\n    App.load(_watch=False)\n"
        "except InvalidSettingsError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", program, str(kubelet_volume.path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=tmp_path)
    assert "pip install 'pyyaml>=6" in ran.stdout


def test_parsers_wait_until_they_are_wanted():
    """Importing the package loads neither PyYAML nor tomllib, as most volumes hold no document of theirs."""
    program = (
        "import sys; before = set(sys.modules); import liveconfig; "
        "print(sorted({'tomllib', 'yaml'} & set(sys.modules) - before))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "[]\n"
