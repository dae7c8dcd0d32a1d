"""``liveconfig audit``: the answers, the formats, the exit codes, a cluster through kubectl."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

SHOP = Path(__file__).parent / "data" / "shop.yaml"


@pytest.fixture
def audit(run):
    """A function that runs ``liveconfig audit`` to its end, in ``tmp_path``."""
    return lambda *arguments, **variables: run("audit", *map(str, arguments), **variables)


def words(text):
    return [" ".join(line.split()) for line in text.splitlines()]


class TestUses:
    """The answer for one object: who uses it, what is live and what is frozen, and what to restart."""

    def test_table(self, audit):
        """A row for each use says workload, container, how, which keys, live or frozen, and why."""
        lines = words(audit(SHOP, "--uses", "configmap/payment-api-config").stdout)
        assert lines[2:8] == [
            "WORKLOAD CONTAINER HOW KEYS STATE WHY",
            "deployment/notification-service notify projected endpoint LIVE files change in place: /etc/app",
            "deployment/payment-api api volume all LIVE files change in place: /etc/config",
            "cronjob/reporting-service copy (init) volume all FROZEN "
            "an init container runs once, before the application starts: /in",
            "cronjob/reporting-service report envFrom all FROZEN variables are set once, when the container starts",
            "statefulset/legacy-app legacy subPath app.yaml FROZEN a subPath mount is never updated: /app/settings.yaml",
        ]

    def test_what_to_do(self, audit):
        """After the table it says which workloads follow, and the command that restarts each of the others."""
        done = audit(SHOP, "--uses", "configmap/payment-api-config")
        lines = words(done.stdout)
        assert done.returncode == 0
        assert "kubectl rollout restart statefulset/legacy-app -n production" in lines
        assert "cronjob/reporting-service: nothing, its next run takes the new value" in lines
        follow = lines.index("After a change, files change in place (the process must follow them):")
        assert lines[follow + 1 : follow + 3] == ["deployment/notification-service", "deployment/payment-api"]
        assert "whether the process follows" in done.stdout

    def test_no_such_object(self, audit):
        """An object that is neither in the input nor named there is an error with the nearest name: exit code 2."""
        done = audit(SHOP, "--uses", "configmap/payment-api-confg")
        assert (done.returncode, done.stdout) == (2, "")
        assert "there is no configmap/payment-api-confg; did you mean payment-api-config?" in done.stderr


def test_json(audit):
    """JSON is one object with the schema's number, the uses and the findings."""
    done = audit(SHOP, "-o", "json")
    answer = json.loads(done.stdout)
    assert done.returncode == 1
    assert answer["schema"] == 1
    [use] = [use for use in answer["uses"] if use["how"] == "subPath"]
    assert use == {
        "object": "configmap/payment-api-config",
        "namespace": "production",
        "workload": "statefulset/legacy-app",
        "container": "legacy",
        "how": "subPath",
        "keys": ["app.yaml"],
        "live": False,
        "why": "a subPath mount is never updated",
    }
    [finding] = [finding for finding in answer["findings"] if finding["level"] == "error"]
    assert finding["rule"] == "frozen-subpath"
    assert (finding["file"], finding["line"]) == (str(SHOP), 173)
    assert SHOP.read_text().splitlines()[172].endswith("subPath: app.yaml}")
