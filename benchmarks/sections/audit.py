"""`liveconfig audit` of many objects: time from start to end of the process, and its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._bench import Bench
from benchmarks._result import Promise, Section, Table
from benchmarks._stats import bytes_, duration

_OBJECTS = 5_000
_FILES = 500


def run(bench: Bench) -> Section:
    """Audit 5,000 objects as JSON and as YAML, and 500 small files."""
    inputs = {
        f"{_OBJECTS:,} objects, one List in JSON": _json(bench.directory / "all.json"),
        f"{_OBJECTS:,} objects, one stream of YAML": _yaml(bench.directory / "all.yaml"),
        f"{_FILES} files of YAML with one object each": _files(bench.directory / "files"),
    }
    measured = {title: (size, *_audit(path)) for title, (path, size) in inputs.items()}
    rows = [
        [title, bytes_(size), duration(seconds * 1e9), bytes_(memory)]
        for title, (size, seconds, memory) in measured.items()
    ]
    section = Section("Manifests", "`liveconfig audit PATH`, from the start of the process to its end.")
    section.tables.append(Table(["input", "size", "time", "memory"], rows))
    *large, (_, small_time, _) = measured.values()
    for limit, what, worst, show in (
        (10.0, f"{_OBJECTS:,} objects audited", max(seconds for _, seconds, _ in large), lambda s: duration(s * 1e9)),
        (400.0 * 1024**2, f"{_OBJECTS:,} objects audited", float(max(memory for *_, memory in large)), bytes_),
        (3.0, f"{_FILES} files audited", small_time, lambda s: duration(s * 1e9)),
    ):
        section.promises.append(Promise(what, f"under {show(limit)}", show(worst), worst < limit))
    return section


def _audit(path: Path) -> tuple[float, int]:
    """Seconds and bytes; the process is a child of its own, so that its peak is known."""
    program = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    command = [sys.executable, "-m", "liveconfig", "audit", "--fail-on", "never", str(path)]
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True, check=True)
    return time.perf_counter() - started, int(done.stdout) * 1024


def _json(path: Path) -> tuple[Path, int]:
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(_objects(_OBJECTS))}, indent=4))
    return path, path.stat().st_size


def _yaml(path: Path) -> tuple[Path, int]:
    path.write_text("---\n".join(map(_as_yaml, _objects(_OBJECTS))))
    return path, path.stat().st_size


def _files(folder: Path) -> tuple[Path, int]:
    folder.mkdir()
    for index, each in enumerate(_objects(_FILES)):
        (folder / f"{index}.yaml").write_text(_as_yaml(each))
    return folder, sum(entry.stat().st_size for entry in os.scandir(folder))


def _objects(count: int) -> Iterator[dict[str, Any]]:
    """A ConfigMap of 2 KiB, a Secret, and two Deployments that use them, again and again."""
    for index in range(count):
        name, kind = f"app-{index // 4}", index % 4
        if kind == 0:
            data = {"app.yaml": "- a line of configuration\n" * 75, "level": "info"}
            yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
        elif kind == 1:
            yield {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {"password": "c2VjcmV0"}}
        else:
            yield _deployment(f"{name}-{kind}", name)


def _deployment(name: str, used: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "shop"}
    container = {
        "name": "app",
        "image": "registry.example/app:1.0",
        "env": [{"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": used, "key": "level"}}}],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/config", "readOnly": True}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 10},
    }
    sources = [{"configMap": {"name": used}}, {"secret": {"name": used}}]
    pod = {"containers": [container], "volumes": [{"name": "config", "projected": {"sources": sources}}]}
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels}, "spec": spec}


def _as_yaml(value: Any, indent: str = "") -> str:
    """Block style, as people write it."""
    if isinstance(value, dict):
        return "".join(f"{indent}{key}:{_inner(inner, indent)}" for key, inner in value.items())
    items = (_as_yaml(item, indent + "  ").removeprefix(indent + "  ") for item in value)
    return "".join(f"{indent}- {item}" for item in items)


def _inner(value: Any, indent: str) -> str:
    if isinstance(value, (dict, list)):
        return "\n" + _as_yaml(value, indent + "  ")
    if isinstance(value, str) and "\n" in value:
        return " |\n" + "".join(f"{indent}  {line}\n" for line in value.splitlines())
    return f" {json.dumps(value)}\n"
