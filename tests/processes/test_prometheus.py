"""A real Prometheus scrapes real workers."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 90.0
ROOT = Path(__file__).parents[2]
RULES = ROOT / "examples" / "operations" / "prometheus"
APP = Path(__file__).parent / "apps" / "page_app.py"


def program(name: str) -> str:
    """The path of a program of Debian's package ``prometheus``."""
    path = shutil.which(name)
    if path is None:
        assert not os.environ.get("CI"), "CI installs prometheus"
        pytest.skip(f"needs {name}: apt-get install prometheus")
    return path


@pytest.fixture
def module(tmp_path: Path) -> str:
    """The name of the application, which no other program on this machine has: a scrape counts every process."""
    name = f"page_{uuid.uuid4().hex}"
    shutil.copy(APP, tmp_path / f"{name}.py")
    return name


@pytest.fixture(params=[False, True], ids=["plain", "multiprocess"])
def server(
    request: pytest.FixtureRequest,
    serve: Callable[..., Any],
    environment: dict[str, str],
    tmp_path: Path,
    module: str,
) -> Any:
    if request.param:
        (tmp_path / "multiprocess").mkdir()
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(tmp_path / "multiprocess")
    # gunicorn replaces a worker that is stopped for longer than its time-out
    app = [f"{module}:app", "--pythonpath", str(tmp_path), "--timeout", "600"]
    server = serve("gunicorn", *app, "--bind", "127.0.0.1:0", workers=4)
    server.until_all(lambda answer: True)
    return server


@pytest.fixture
def query(server: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Wait until a query has the wanted value; Prometheus scrapes the server every second."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "prometheus.yaml").write_text(
        "global: {scrape_interval: 2s, scrape_timeout: 2s}\n"
        f"rule_files: ['{RULES / 'liveconfig.rules.yaml'}']\n"
        "scrape_configs:\n"
        f"- {{job_name: shop, metrics_path: /metrics, static_configs: [{{targets: ['127.0.0.1:{server.port}']}}]}}\n"
    )
    command = [
        program("prometheus"),
        f"--config.file={tmp_path / 'prometheus.yaml'}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def value(expression: str) -> float | None:
        url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                found = json.load(answer)["data"]["result"]
        except OSError:
            return None
        return float(found[0]["value"][1]) if found else None

    def query(expression: str, wanted: float) -> None:
        deadline, seen = time.monotonic() + PATIENCE, None
        while (seen := value(expression)) != wanted:
            assert time.monotonic() < deadline, f"{expression} is {seen}, not {wanted}"
            time.sleep(0.1)

    yield query
    process.terminate()
    process.wait(30)


def test_one_scrape_answers_for_all(
    server: Any, query: Callable[..., Any], volume: Any, canary: str, module: str, stopped: Callable[..., Any]
) -> None:
    """One scrape counts every worker; a stopped one is not current, a killed one is gone at the next scrape."""
    labels = f'{{settings="{module}.PageSettings"}}'
    query(f"liveconfig_processes{labels}", 4)
    query(f"liveconfig_processes_current{labels}", 4)
    query(f"liveconfig_config_last_reload_successful{labels}", 1)
    query(f"liveconfig_watching{labels}", 1)
    pid = min(server.until_all(lambda answer: True))
    with stopped(pid):
        volume.update({"left": "two"})
        query(f"liveconfig_processes_current{labels}", 3)
        query(f"liveconfig_processes{labels}", 4)
        os.kill(pid, signal.SIGKILL)  # gunicorn starts a successor
    query(f"liveconfig_processes_current{labels}", 4)
    query(f"liveconfig_processes{labels}", 4)
    volume.update({"port": "x"})
    query(f"liveconfig_config_last_reload_successful{labels}", 0)
    volume.update({"port": "2"})
    query(f"liveconfig_config_last_reload_successful{labels}", 1)
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=PATIENCE) as answer:
        text = answer.read().decode()
    ours = [line for line in text.splitlines() if labels[1:-1] in line]
    assert len(ours) > 4
    assert canary not in text
    assert not re.search(r"left|right|password|port=", "\n".join(ours))


def test_the_rules() -> None:
    """Each alert fires, does not fire while a swap is under way, and clears."""
    ran = subprocess.run(
        [program("promtool"), "test", "rules", "liveconfig.rules.test.yaml"],
        cwd=RULES,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
