"""``liveconfig audit``: the answers, the formats, the exit codes, a cluster through kubectl."""

from __future__ import annotations

import base64
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker

from liveconfig._manifests import RULES

SHOP = Path(__file__).parent / "data" / "shop.yaml"
SARIF = json.loads((Path(__file__).parent / "data" / "sarif-structure.json").read_text())
"""The parts of SARIF 2.1.0 that we write, as the standard has them: required properties, types and words."""


@pytest.fixture
def audit(run):
    """A function that runs ``liveconfig audit`` to its end, in ``tmp_path``."""
    return lambda *arguments, **variables: run("audit", *map(str, arguments), **variables)


@pytest.fixture
def terminal(tmp_path):
    """A function that runs ``liveconfig`` on a terminal and gives what that shows."""

    def show(*arguments, **variables):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "liveconfig", *arguments],
            cwd=tmp_path,
            env={**{k: v for k, v in os.environ.items() if k != "NO_COLOR"}, "TERM": "xterm", **variables},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        shown = b""
        try:
            while more := os.read(ours, 65536):
                shown += more
        except OSError:  # EIO: nobody has the other end any more
            pass
        os.close(ours)
        process.wait(60)
        return shown.decode()

    return show


def words(text):
    return [" ".join(line.split()) for line in text.splitlines()]


class TestUses:
    """The answer for one object has its workloads, what is live and what is frozen, and what to restart."""

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


CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {a: b}\n"
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  containers:
  - name: app
    image: app:1
    env:
    - name: A
      valueFrom: {configMapKeyRef: {name: app, key: a}}
"""


@pytest.fixture
def manifest(tmp_path):
    """A function that writes a manifest to a file in ``tmp_path``."""

    def write(text, name="app.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        return name

    return write


def fields(done):
    """The findings of an answer in JSON, as rule and field."""
    return [(finding["rule"], finding["field"]) for finding in json.loads(done.stdout)["findings"]]


class TestExitCode:
    def test_nothing_found(self, audit, manifest):
        """0: nothing at or above the level that fails."""
        done = audit(manifest(CONFIG_MAP % "app"))
        assert (done.returncode, done.stderr) == (0, "")
        assert "0 errors, 0 warnings, 1 note; 1 object read." in done.stdout

    @pytest.mark.parametrize(("level", "code"), [("error", 0), ("warning", 1), ("note", 1), ("never", 0)])
    def test_fail_on(self, audit, manifest, level, code):
        """1: findings at or above --fail-on."""
        text = CONFIG_MAP % "app" + "---\n" + POD
        assert audit(manifest(text), "--fail-on", level).returncode == code

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("kind: ConfigMap\napiVersion: v1\ndata: [\n", "app.yaml:4: not valid YAML"),
            ("kind: {{ .Values.kind }}\n", "pipe what `helm template` prints"),
            ("kind: !!python/object/apply:os.getcwd []\n", "app.yaml:1: a YAML tag"),
        ],
    )
    def test_unreadable(self, audit, manifest, text, message):
        """2: input that cannot be read, with file and line; the rest is answered all the same."""
        done = audit(manifest(text), manifest(POD, "pod.yaml"))
        assert done.returncode == 2
        assert message in done.stderr
        assert "pod/app" in done.stdout

    def test_no_such_file(self, audit):
        """2: a path that leads nowhere."""
        done = audit("nowhere.yaml")
        assert done.returncode == 2
        assert "nowhere.yaml: no such file or directory" in done.stderr

    def test_no_path(self, audit):
        """2: nothing to look at."""
        done = audit()
        assert (done.returncode, done.stdout) == (2, "")
        assert "give a PATH, - for standard input, or --cluster" in done.stderr

    def test_chart_alone(self, audit, manifest):
        """2: only a chart, which is not rendered; the pipe is named."""
        manifest("name: web\napiVersion: v2\n", "web/Chart.yaml")
        done = audit("web")
        assert done.returncode == 2
        assert (
            "nothing was read; web: a Helm chart is not rendered: helm template web | liveconfig audit -" in done.stderr
        )

    def test_chart_beside_manifests(self, audit, manifest):
        """A chart beside manifests is skipped with the advice, and the manifests count."""
        manifest("name: web\napiVersion: v2\n", "all/web/Chart.yaml")
        manifest(CONFIG_MAP % "app", "all/app.yaml")
        done = audit("all")
        assert done.returncode == 0
        assert "helm template all/web | liveconfig audit -" in done.stdout

    @pytest.mark.parametrize("text", ["a: 1\n", "kind: ConfigMap\nmetadata: {name: x}\n", "", None])
    def test_no_object(self, audit, manifest, tmp_path, text):
        """0: files without an object, as a hook of pre-commit may give any, or an empty directory. It says so."""
        (tmp_path / "k8s").mkdir()
        name = "k8s" if text is None else manifest(text)
        done = audit(name)
        assert done.returncode == 0
        assert "0 objects read" in done.stdout
        assert done.stderr == f"liveconfig audit: no object with `apiVersion` and `kind` is in {name}\n"

    def test_files_without_objects(self, audit, manifest):
        """0: a file without Kubernetes objects beside others is counted."""
        done = audit(manifest("a: 1\n", "values.yaml"), manifest(CONFIG_MAP % "app"))
        assert done.returncode == 0
        assert "1 object read, 1 file without any." in done.stdout

    def test_an_empty_cluster(self, audit, tmp_path):
        """0: a cluster without objects."""
        body = f"""case "$2" in secrets) ;; *) echo '{json.dumps({"apiVersion": "v1", "kind": "List", "items": []})}' ;; esac"""
        done = audit("--cluster", KUBECTL=script(tmp_path, body))
        assert (done.returncode, done.stderr) == (0, "")
        assert "Note:" not in done.stdout

    def test_yaml_without_pyyaml(self, audit, manifest, tmp_path):
        """2: YAML without PyYAML, with what to install; JSON works without."""
        (tmp_path / "without").mkdir()
        (tmp_path / "without" / "yaml.py").write_text("raise ModuleNotFoundError(name='yaml')\n")
        without = {"PYTHONPATH": str(tmp_path / "without")}
        done = audit(manifest(POD), **without)
        assert (done.returncode, done.stdout) == (2, "")
        assert "pip install 'pyyaml>=6" in done.stderr
        assert audit(manifest('{"kind": "Pod", "apiVersion": "v1"}', "pod.json"), **without).returncode == 0


def test_starts_without_pydantic():
    """The command imports neither pydantic nor watchdog."""
    program = (
        "import sys; from liveconfig.cli import main; main(['audit', '--fail-on', 'never', sys.argv[1]]); "
        "print({'pydantic', 'pydantic_settings', 'watchdog', 'blinker'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(SHOP)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == "set()\n"


class TestStandardInput:
    def test_pipe(self, audit, tmp_path):
        """The output of another command is read from standard input."""
        (tmp_path / "in").write_text(POD)
        done = audit("-o", "json", "-", before=("sh", "-c", 'exec "$@" < in', "sh"))
        assert [(each["file"], each["line"]) for each in json.loads(done.stdout)["findings"]] == [("-", 10), ("-", 9)]

    def test_empty(self, audit, tmp_path):
        """Nothing on standard input is unreadable input: the command before the pipe has failed."""
        done = audit("-", before=("sh", "-c", 'exec "$@" < /dev/null', "sh"))
        assert done.returncode == 2
        assert "did the command before the pipe fail?" in done.stderr


class TestBaseline:
    def test_silences_what_was_there(self, audit, manifest, tmp_path):
        """Findings that a file written earlier lists are left out, though their lines moved; new ones stay."""
        name = manifest(POD)
        audit(name, "-o", "json", "--output", "before.json")
        manifest(POD.replace("spec:", "spec:\n  # a comment") + POD[POD.index("    - name: A") :].replace("A", "B"))
        done = audit(name, "--baseline", "before.json", "-o", "json")
        assert fields(done) == [("frozen-env", "spec.containers[app].env[B]")]

    def test_counted(self, audit, manifest):
        """The table says how many findings are silenced."""
        name = manifest(POD)
        audit(name, "-o", "json", "--output", "before.json")
        assert "0 errors, 0 warnings, 0 notes, 2 silenced" in audit(name, "--baseline", "before.json").stdout

    @pytest.mark.parametrize("content", [None, "", "[]", '{"findings": 1}', "not JSON"])
    def test_unusable(self, audit, manifest, content):
        """A baseline that is not there or not of that form is an error that names it: exit code 2."""
        if content is not None:
            manifest(content, "before.json")
        done = audit(manifest(POD), "--baseline", "before.json")
        assert (done.returncode, done.stdout) == (2, "")
        assert "before.json" in done.stderr


class TestAnnotate:
    def test_shop(self, audit):
        """Each used object gets an annotation that names its workloads, with the notes that were there."""
        done = audit(SHOP, "--annotate")
        documents = {each["metadata"]["name"]: each for each in yaml.safe_load_all(done.stdout)}
        assert done.returncode == 0
        assert documents["payment-api-config"] == {
            "kind": "ConfigMap",
            "metadata": {
                "name": "payment-api-config",
                "namespace": "production",
                "annotations": {
                    "used-by-deployments": "- payment-api (v1.0+)\n- notification-service (v2.1+)\n"
                    "- reporting-service (CronJob)\n- legacy-app (StatefulSet)\n"
                },
            },
        }
        assert "leftover" not in documents

    def test_is_what_the_rule_wants(self, audit, manifest):
        """With the annotation as it is printed, the rule finds nothing."""
        text = SHOP.read_text()
        start = text.index("    used-by-deployments: |")
        end = text.index("data:", start)
        printed = audit(SHOP, "--annotate").stdout
        begin = printed.index("    used-by-deployments", printed.index("payment-api-config"))
        value = printed[begin : printed.index("---", begin)]
        assert "used-by-outdated" not in audit(manifest(text[:start] + value + text[end:])).stdout


class TestFormats:
    def test_sarif(self, audit):
        """SARIF is valid against the structure of the standard, and has file and line of each finding."""
        sarif = json.loads(audit(SHOP, "-o", "sarif").stdout)
        Draft202012Validator(SARIF, format_checker=FormatChecker()).validate(sarif)
        [run] = sarif["runs"]
        rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
        assert rules == list(RULES)
        for result in run["results"]:
            assert rules[result["ruleIndex"]] == result["ruleId"]
        [error] = [result for result in run["results"] if result["level"] == "error"]
        assert error["locations"][0]["physicalLocation"] == {
            "artifactLocation": {"uri": f"file://{SHOP}"},
            "region": {"startLine": 173},
        }

    @pytest.mark.parametrize("name", ["a b/c#d.yaml", "grüß.yaml", "-.yaml", "a:b.yaml"])
    def test_sarif_of_odd_names(self, audit, manifest, name):
        """The name of a file becomes a valid URI reference."""
        sarif = json.loads(audit("./" + manifest(POD, name), "-o", "sarif").stdout)
        Draft202012Validator(SARIF, format_checker=FormatChecker()).validate(sarif)
        [uri, _] = [
            each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in sarif["runs"][0]["results"]
        ]
        assert unquote(uri).removeprefix("./") == name

    def test_sarif_of_a_name_that_is_not_utf_8(self, audit, tmp_path):
        """The bytes of a file name that is not UTF-8 are in the URI."""
        (tmp_path / os.fsdecode(b"a\xff.yaml")).write_text(POD)
        sarif = json.loads(audit(".", "-o", "sarif").stdout)
        Draft202012Validator(SARIF, format_checker=FormatChecker()).validate(sarif)
        locations = [each["locations"][0]["physicalLocation"] for each in sarif["runs"][0]["results"]]
        assert {each["artifactLocation"]["uri"] for each in locations} == {"a%FF.yaml"}

    def test_sarif_of_problems(self, audit, manifest):
        """An input that cannot be read is a notification of an unsuccessful run."""
        sarif = json.loads(audit(manifest("kind: [\n"), "-o", "sarif").stdout)
        Draft202012Validator(SARIF, format_checker=FormatChecker()).validate(sarif)
        [invocation] = sarif["runs"][0]["invocations"]
        assert invocation["executionSuccessful"] is False
        assert invocation["toolExecutionNotifications"][0]["level"] == "error"

    @pytest.mark.parametrize(
        "change", [("results", 0, "level", "fatal"), ("results", 0, "mesage", {}), ("tool", "driver", "name", 1)]
    )
    def test_the_structure_refuses(self, audit, change):
        """The structure that the tests hold the output against refuses a wrong one."""
        sarif = json.loads(audit(SHOP, "-o", "sarif").stdout)
        *path, name, value = change
        place = sarif["runs"][0]
        for step in path:
            place = place[step]
        place[name] = value
        assert not Draft202012Validator(SARIF).is_valid(sarif)

    def test_github(self, audit, manifest):
        """GitHub's annotations have level, file, line and rule, and escape what would end them."""
        lines = audit(manifest(CONFIG_MAP % "app" + "---\n" + POD, "a,b:c%.yaml"), "-o", "github").stdout.splitlines()
        assert lines == [
            "::warning file=a%2Cb%3Ac%25.yaml,line=14,title=frozen-env::A in container app of pod/app is set from a of "
            "configmap/app, once, when the container starts. Mount the key as a file and read it from there, or restart "
            "the workload after each change."
        ]

    def test_github_levels(self, audit, manifest):
        """A note is a notice, and what could not be read an error."""
        manifest("kind: [\n", "broken.yaml")
        lines = audit(manifest(CONFIG_MAP % "app"), "broken.yaml", "-o", "github").stdout.splitlines()
        assert [line.partition(" ")[0] for line in lines] == ["::error", "::notice"]
        assert "file=broken.yaml,line=2" in lines[0]

    def test_markdown(self, audit):
        """Markdown has the findings as a table, and the uses to unfold."""
        text = audit(SHOP, "-o", "markdown").stdout
        assert "; `liveconfig status` shows whether the process follows." in text
        assert text.startswith("### liveconfig audit\n\n1 error, 10 warnings, 2 notes; 12 objects read.\n")
        assert f"| error | frozen-subpath | `{SHOP}:173` |" in text
        assert "<details><summary>Who uses what: 11 uses</summary>" in text

    def test_markdown_of_one_object(self, audit):
        """With --uses the answer comes first, with the commands."""
        text = audit(SHOP, "-o", "markdown", "--uses", "secret/app-secrets").stdout
        assert "| `secret/app-secrets` | `deployment/two-tier-app` | `app` | env |" in text
        assert "- `kubectl rollout restart deployment/two-tier-app -n production`" in text

    def test_markdown_fits_into_a_comment(self, audit, manifest):
        """However much is found, the text is shorter than GitHub's limit, and says what is left out."""
        pods = "---\n".join(POD.replace("name: app}", f"name: app-{n}}}") for n in range(600))
        text = audit(manifest(pods), "-o", "markdown").stdout
        assert len(text) < 65_536
        assert text.count(" more.") == 2
        assert text.rstrip().endswith("</details>")

    def test_markdown_shows_names_as_they_are(self, audit, manifest):
        """A name cannot be markup, mention anybody or end a cell."""
        text = CONFIG_MAP % "app" + "---\n" + POD.replace("name: A\n", 'name: "@team|<img>`x`*b*"\n')
        found = audit(manifest(text), "-o", "markdown").stdout
        assert r"\@team\|\<img\>\`x\`\*b\*" in found

    @pytest.mark.parametrize("key", ["csi | ![](https://evil/p.png) @org/team\n\n### 0 errors", "a | ::b"])
    def test_markdown_of_a_field(self, audit, manifest, key):
        """The field of a volume is a text of the manifest: it makes no markup and no line."""
        volumes = [{"name": "x", key: {"secretRef": {"name": "s"}}}]
        spec = {"containers": [{"name": "app", "image": "x"}], "volumes": volumes}
        text = yaml.dump({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app"}, "spec": spec})
        found = audit(manifest(text), "-o", "markdown").stdout
        [row] = [line for line in found.splitlines() if line.startswith("| `secret/s`")]
        assert row.count(" | ") - row.count("\\ | ") == 6
        assert not {"![", " @", "### 0"} & {word for word in ("![", " @", "### 0") if word in found}

    def test_markdown_of_a_backslash(self, audit, manifest):
        """A backslash before a bar does not end a cell: the bar stays escaped."""
        text = POD.replace("- name: app\n", "- name: 'a\\\\| ![](https://evil/p.png)'\n")
        found = audit(manifest(text), "-o", "markdown").stdout
        assert r"`a\| ![](https://evil/p.png)`" in found

    @pytest.mark.parametrize("output", ["table", "markdown"])
    def test_a_field_that_is_no_text(self, audit, manifest, output):
        """A volume with a field that is no text is read as one of nothing."""
        spec = "{containers: [{name: app, image: x}], volumes: [{name: x, 5: {secretRef: {name: s}}}]}"
        done = audit(
            manifest(CONFIG_MAP % "app" + "---\n" + POD.partition("spec:")[0] + f"spec: {spec}\n"), "-o", output
        )
        assert (done.returncode, done.stderr) == (0, "")

    def test_output(self, audit, manifest, tmp_path):
        """--output writes the answer to a file, and a summary to standard error."""
        done = audit(manifest(POD), "-o", "sarif", "--output", "audit.sarif")
        assert (done.returncode, done.stdout) == (0, "")
        assert json.loads((tmp_path / "audit.sarif").read_text())["version"] == "2.1.0"
        assert (
            done.stderr == "liveconfig audit: 0 errors, 2 warnings, 0 notes; 1 object read. Written to audit.sarif.\n"
        )

    def test_output_that_cannot_be_written(self, audit, manifest):
        """An output that cannot be written is one line and exit code 2."""
        done = audit(manifest(POD), "--output", "nowhere/audit.txt")
        assert done.returncode == 2
        assert done.stderr == "liveconfig audit: nowhere/audit.txt cannot be written: No such file or directory\n"

    def test_no_control_characters(self, audit, manifest):
        """Characters that a terminal takes as a command are not printed."""
        text = POD.replace("name: A\n", 'name: "\\e]0;x\\a"\n')
        done = audit(manifest(text))
        assert "\x1b" not in done.stdout
        assert "\x07" not in done.stdout

    @pytest.mark.parametrize("options", [(), ("--uses", "configmap/app"), ("--annotate",), ("-o", "markdown")])
    def test_hostile_names(self, audit, manifest, options):
        """No name in a manifest, and no name of a file, is a command to a terminal or to a CI system that keeps the log."""
        bad = "x\n::error file=app.py,line=1::forged\x1b]0;x\x07\u202e##[error]y"
        metadata = {"namespace": bad, "name": "app"}
        notes = {f"liveconfig.dev/ignore-{bad}": "why", "used-by-deployments": f"z\r{bad}"}
        config = {"kind": "ConfigMap", "metadata": {**metadata, "annotations": notes}, "data": {"a": "b"}}
        env = [{"name": bad, "valueFrom": {"configMapKeyRef": {"name": "app", "key": bad}}}]
        app = {"name": bad, "image": "x", "env": env}
        pods = [
            {"kind": kind, "metadata": {**metadata, "name": f"{number}{bad}"}, "spec": {"containers": [app]}}
            for number, kind in enumerate(("Pod", "::error file=app.py::forged", bad))
        ]
        documents = [yaml.dump({"apiVersion": "v1", **each}) for each in (config, *pods)]
        manifest("---\n".join(documents), "k8s/::error file=app.py::forged\x1b.yaml")
        manifest("name: web\n", "k8s/::error::forged\x1b/Chart.yaml")
        shown = audit("k8s", *options).stdout
        assert "forged" in shown
        assert all(line.isprintable() for line in shown.splitlines())
        assert shown.splitlines() == shown.split("\n")[:-1]
        assert not [line for line in shown.splitlines() if line.strip().startswith("::")]
        assert "##[" not in shown or "markdown" in options

    def test_long_names(self, audit, manifest):
        """Without a terminal nothing is broken into lines, so that no part of a long name begins one."""
        name = f"liveconfig.dev/ignore-{'x' * 9_990} ::error::forged"
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app", "annotations": {name: "why"}}}
        [line] = [line for line in audit(manifest(json.dumps(config))).stdout.splitlines() if "forged" in line]
        assert line.startswith("Note: ")


class TestTerminal:
    def test_plain_in_a_pipe(self, audit):
        """Colours are for terminals only."""
        assert "\x1b[" not in audit(SHOP).stdout

    def test_colours(self, terminal):
        """On a terminal the states and levels are coloured, unless NO_COLOR is set."""
        assert "\x1b[32mLIVE" in terminal("audit", str(SHOP), COLUMNS="200")
        assert "\x1b[" not in terminal("audit", str(SHOP), COLUMNS="200", NO_COLOR="1").replace("\x1b[K", "")

    def test_no_colours_in_a_file(self, terminal, tmp_path):
        """Output to a file has no colours and is not folded, although the command runs on a terminal."""
        terminal("audit", str(SHOP), "--output", "audit.txt", COLUMNS="60")
        text = (tmp_path / "audit.txt").read_text()
        assert "\x1b" not in text
        assert "files change in place: /etc/config" in text

    @pytest.mark.parametrize("width", [80, 100, 140])
    def test_folds(self, terminal, width):
        """A table that is wider than the terminal folds: no line is longer, and no name is cut."""
        text = terminal("audit", str(SHOP), "--uses", "configmap/payment-api-config", COLUMNS=str(width), NO_COLOR="1")
        table = text[text.index("WORKLOAD") : text.index("LIVE:")]
        assert max(map(len, table.splitlines())) <= width
        assert "deployment/notification-service " in table
        assert "an init container runs once, before the" in " ".join(table.split())

    def test_progress(self, terminal, tmp_path):
        """On a terminal a line says how far it is once it takes 2 s, and is taken away at the end."""
        kubectl = script(tmp_path, 'sleep 3\necho "{}"')
        text = terminal("audit", "--cluster", KUBECTL=kubectl)
        assert "\r\x1b[Kreading: 0 objects" in text
        assert text.rindex("reading:") < text.rindex("\r\x1b[K")


def script(folder, body):
    """The path of a program in the place of kubectl."""
    path = folder / "kubectl"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


SECRETS = """\
NAME                        TYPE                 DATA   AGE
app-secrets                 Opaque               2      3d
sh.helm.release.v1.web.v1   helm.sh/release.v1   1      3d
spare                       Opaque               1      3d
"""


class TestCluster:
    @pytest.fixture
    def kubectl(self, tmp_path):
        """A function that makes a program which answers as kubectl did for the shop on a real API server."""

        def make(secrets='cat "$0.secrets"'):
            (tmp_path / "kubectl.secrets").write_text(SECRETS)
            return script(
                tmp_path,
                f"""\
echo "$@" >> {tmp_path}/log
case "$*" in
"get deploy,sts,ds,rs,cronjob,job,pod,cm,ing,sa "*) cat {SHOP.parent}/get-all.json ;;
"get secrets"*) {secrets} ;;
*) echo "error: the server doesn't have a resource type" >&2; exit 1 ;;
esac""",
            )

        return make

    def calls(self, tmp_path):
        return (tmp_path / "log").read_text().splitlines()

    def test_shop(self, audit, kubectl):
        """A cluster gives the answer of its manifests; pods without an owner are there too."""
        done = audit("--cluster", "-o", "json", KUBECTL=kubectl())
        answer = json.loads(done.stdout)
        states = {
            (use["workload"], use["how"]): use["live"]
            for use in answer["uses"]
            if use["object"] == "configmap/payment-api-config"
        }
        assert states == {
            ("deployment/payment-api", "volume"): True,
            ("deployment/notification-service", "projected"): True,
            ("cronjob/reporting-service", "volume"): False,
            ("cronjob/reporting-service", "envFrom"): False,
            ("statefulset/legacy-app", "subPath"): False,
            ("pod/payment-api-7c9d8b6f5-x1abc", "volume"): True,
            ("pod/payment-api-7c9d8b6f5-x2abc", "volume"): True,
        }

    def test_missing_is_an_error(self, audit, kubectl):
        """An object that is missing in the cluster is an error; its finding has no file."""
        findings = json.loads(audit("--cluster", "-o", "json", KUBECTL=kubectl()).stdout)["findings"]
        [missing] = [each for each in findings if each["rule"] == "missing-object"]
        assert (missing["level"], missing["object"]) == ("error", "configmap/nobody-made-this")
        assert (missing["file"], missing["line"]) == (None, None)

    def test_secrets_come_without_data(self, audit, kubectl, tmp_path):
        """Secrets are listed in kubectl's table, never as JSON, and the output says once what that leaves out."""
        text = audit("--cluster", KUBECTL=kubectl()).stdout
        assert "get secrets" in self.calls(tmp_path)
        assert not [call for call in self.calls(tmp_path) if "secret" in call and "json" in call]
        assert text.count("Secrets were listed without their data") == 1

    def test_unused(self, audit, kubectl):
        """Objects that nothing uses are named, those of Helm and the cluster's own left out."""
        findings = json.loads(audit("--cluster", "-o", "json", KUBECTL=kubectl()).stdout)["findings"]
        unused = [each["object"] for each in findings if each["rule"] == "unused-object"]
        assert unused == ["configmap/leftover", "secret/spare"]

    def test_scope(self, audit, kubectl, tmp_path):
        """Namespace and context are passed on."""
        audit("--cluster", "-n", "production", "--context", "prod", KUBECTL=kubectl())
        audit("--cluster", "-A", KUBECTL=kubectl())
        calls = self.calls(tmp_path)
        kinds = "deploy,sts,ds,rs,cronjob,job,pod,cm,ing,sa"
        assert f"get {kinds} -n production -o json --context prod" in calls
        assert f"get {kinds} -A -o json" in calls
        assert "get secrets -n production --context prod" in calls
        assert "get secrets -A" in calls

    def test_commands_name_the_context(self, audit, kubectl):
        """The commands that it proposes are for the same context and namespace."""
        done = audit("--cluster", "--context", "prod", "--uses", "secret/app-secrets", KUBECTL=kubectl())
        assert "kubectl rollout restart deployment/two-tier-app -n production --context prod" in done.stdout

    def test_manifests_beside_a_cluster(self, audit, kubectl, manifest):
        """A manifest counts instead of the cluster's object of its name, and without a namespace is in that one."""
        changed = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web-message}\ndata: {greeting: hello}\n"
        findings = json.loads(audit(manifest(changed), "--cluster", "-o", "json", KUBECTL=kubectl()).stdout)["findings"]
        missing = [(each["rule"], each["object"]) for each in findings if each["rule"] == "missing-key"]
        assert missing == [("missing-key", "configmap/web-message")]

    def test_custom_resources(self, audit, kubectl, tmp_path):
        """The kinds of --ref-path are listed too."""
        audit("--cluster", "--ref-path", "Widget.example.com:spec.secretName", KUBECTL=kubectl())
        assert "get Widget.example.com -o json" in self.calls(tmp_path)

    def test_secrets_forbidden(self, audit, kubectl):
        """Without the right to list Secrets, the rest is reported, and a note names the rules that were not applied."""
        message = "Error from server (Forbidden): secrets is forbidden: User u cannot list"
        done = audit("--cluster", "-o", "json", KUBECTL=kubectl(f'echo "{message}" >&2; exit 1'))
        answer = json.loads(done.stdout)
        assert done.returncode == 1
        about = {each["rule"] for each in answer["findings"] if (each["object"] or "").startswith("secret/")}
        assert not about & {"missing-object", "unused-object"}
        assert "Secrets could not be listed (secrets is forbidden" in answer["notes"][0]

    def test_partly_forbidden(self, audit, tmp_path):
        """Objects that kubectl could list are reported; missing ones give exit code 2."""
        message = "Error from server (Forbidden): ingresses is forbidden"
        kubectl = script(tmp_path, f'cat {SHOP.parent}/get-all.json; echo "{message}" >&2; exit 1')
        done = audit("--cluster", KUBECTL=kubectl)
        assert done.returncode == 2
        assert "statefulset/legacy-app" in done.stdout
        assert "liveconfig audit: kubectl: ingresses is forbidden" in done.stderr

    def test_unreachable(self, audit, tmp_path):
        """A cluster that does not answer is one line and exit code 2."""
        message = "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?"
        done = audit("--cluster", KUBECTL=script(tmp_path, f'echo "{message}" >&2; exit 1'))
        assert done.returncode == 2
        assert done.stderr == f"liveconfig audit: kubectl: {message}\nliveconfig audit: nothing was read\n"
        assert done.stdout == ""

    @pytest.mark.parametrize(
        "answer",
        [
            "",
            "not json {",
            "a: 1",
            "null",
            '{"items": "x", "kind": 5}',
            '{"apiVersion": "v1", "kind": "List", "items": "x"}',
            '{"apiVersion": "v1", "kind": "List", "items": [1]}',
            '{"apiVersion": "v1", "kind": "List", "items": [{"kind": "Pod"}]}',
            '{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Pod"}]}',
            '{"apiVersion": "v1", "kind": "List", "items": [',
        ],
    )
    def test_no_objects(self, audit, tmp_path, answer):
        """An answer that is not the JSON of Kubernetes objects is one line and exit code 2, not an empty cluster."""
        done = audit("--cluster", KUBECTL=script(tmp_path, f"echo '{answer}'"))
        assert done.returncode == 2
        problem, *_ = done.stderr.splitlines()
        assert problem == "liveconfig audit: kubectl: its answer is not the JSON of Kubernetes objects"
        assert done.stderr.count("is not the JSON") == 1

    def test_no_table_of_secrets(self, audit, kubectl):
        """An answer that is no table of Secrets does not say that there are none."""
        answer = json.loads(audit("--cluster", "-o", "json", KUBECTL=kubectl("echo hello")).stdout)
        about = {each["rule"] for each in answer["findings"] if (each["object"] or "").startswith("secret/")}
        assert not about & {"missing-object", "unused-object"}
        assert "Secrets could not be listed (kubectl's answer is not a table of them)" in answer["notes"][0]

    def test_log_of_kubectl(self, audit, tmp_path):
        """Lines of kubectl's log before its message are not taken for the message."""
        body = 'echo "E1128 07:20:22.858172 1 memcache.go:265] Unhandled" >&2; echo "error: no such host" >&2; exit 1'
        done = audit("--cluster", KUBECTL=script(tmp_path, body))
        assert done.stderr.startswith("liveconfig audit: kubectl: no such host\n")

    def test_no_kubectl(self, audit, tmp_path):
        """Without kubectl the error says what to do."""
        done = audit("--cluster", KUBECTL=str(tmp_path / "nothing"))
        assert (done.returncode, done.stdout) == (2, "")
        assert "install it, or set KUBECTL to its path" in done.stderr

    def test_all_namespaces_needs_a_cluster(self, audit):
        """-A without --cluster is an error that says so."""
        done = audit(SHOP, "-A")
        assert done.returncode == 2
        assert "add --cluster" in done.stderr


class TestUsesOfAny:
    @pytest.mark.parametrize("given", ["configmap/app", "ConfigMap/app", "cm/app", "configmaps/app"])
    def test_spellings(self, audit, manifest, given):
        """The kind may be written as kubectl takes it."""
        assert "pod/app" in audit(manifest(POD), "--uses", given).stdout

    @pytest.mark.parametrize("given", ["app", "deployment/app", "configmap/", "/app"])
    def test_misuse(self, audit, manifest, given):
        """An argument that is no ConfigMap or Secret is an error that shows the form."""
        done = audit(manifest(POD), "--uses", given)
        assert done.returncode == 2
        assert "--uses takes configmap/NAME or secret/NAME" in done.stderr

    def test_only_named(self, audit, manifest):
        """An object that is only named in the input is answered too."""
        done = audit(manifest(POD), "--uses", "configmap/app")
        assert done.returncode == 0
        assert "not in the input, only named there" in done.stdout

    def test_several_namespaces(self, audit, manifest):
        """An object of several namespaces is answered for each; -n asks for one."""
        texts = [POD.replace("name: app}", f"name: app, namespace: {ns}}}", 1) for ns in ("dev", "prod")]
        pods = "---\n".join(texts)
        name = manifest(pods)
        both = audit(name, "--uses", "configmap/app").stdout
        assert ("Namespace dev" in both, "Namespace prod" in both) == (True, True)
        one = audit(name, "--uses", "configmap/app", "-n", "prod").stdout
        assert ("in namespace prod" in one, "dev" in one) == (True, False)

    def test_a_namespace_and_none(self, audit, manifest):
        """Beside workloads of a namespace, the list says of a workload without one that it has none."""
        spec = "{containers: [{name: c, volumeMounts: [{name: v, mountPath: /v}]}], volumes: [{name: v, configMap: {name: app}}]}"
        texts = [
            POD.partition("metadata")[0] + f"metadata: {each}\nspec: {spec}\n"
            for each in ("{name: a, namespace: dev}", "{name: b}")
        ]
        lines = words(audit(manifest("---\n".join(texts)), "--uses", "configmap/app").stdout)
        at = lines.index("After a change, files change in place (the process must follow them):")
        assert lines[at + 1 : at + 3] == ["pod/b without a namespace", "pod/a in namespace dev"]

    @pytest.mark.parametrize(
        ("kind", "line"),
        [
            ("Deployment", "kubectl rollout restart deployment/x"),
            ("DaemonSet", "kubectl rollout restart daemonset/x"),
            ("Rollout", "kubectl argo rollouts restart x"),
            ("DeploymentConfig", "oc rollout restart dc/x"),
            ("Job", "job/x: delete it and create it again, if it has to run with the new value"),
            ("ReplicaSet", "replicaset/x: delete its pods; it makes new ones"),
            ("Widget", "widget/x: restart its pods, in the way that its controller documents"),
        ],
    )
    def test_restart(self, audit, manifest, kind, line):
        """Each kind is restarted in its own way."""
        text = f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {{template: {{spec: {{containers: [{{name: a, envFrom: [{{configMapRef: {{name: app}}}}]}}]}}}}}}\n"
        assert line in words(audit(manifest(text), "--uses", "configmap/app").stdout)

    def test_a_pod_of_an_owner_outside_of_the_input(self, audit, manifest):
        """A pod that something controls is deleted only: its owner makes a new one."""
        owner = "ownerReferences: [{kind: ReplicaSet, name: web-5d8f, controller: true}]"
        text = POD.replace("{name: app}", f"{{name: app, {owner}}}", 1)
        lines = words(audit(manifest(text), "--uses", "configmap/app").stdout)
        assert "pod/app: delete it; its ReplicaSet makes a new one" in lines

    def test_a_volume_that_nothing_mounts(self, audit, manifest):
        """A workload with a volume that no container mounts has nothing to do, and no file changes in it."""
        spec = "{containers: [{name: app}], volumes: [{name: v, configMap: {name: app}}]}"
        name = manifest(POD.partition("spec:")[0] + f"spec: {spec}\n")
        for output in ("table", "markdown"):
            text = audit(name, "--uses", "configmap/app", "-o", output).stdout
            assert "No container of these mounts it, so there is nothing to do" in text
            assert "change in place" not in text

    def test_a_container_without_a_name(self, audit, manifest):
        """A container without a name is shown as one, and its files change in place."""
        spec = "{containers: [{image: i, volumeMounts: [{name: v, mountPath: /v}]}], volumes: [{name: v, configMap: {name: app}}]}"
        head = "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: k}\n"
        name = manifest(head + f"spec: {{template: {{spec: {spec}}}}}\n")
        lines = words(audit(name, "--uses", "configmap/app").stdout)
        assert "service/k (no name) volume all LIVE files change in place: /v" in lines
        assert (
            lines[lines.index("After a change, files change in place (the process must follow them):") + 1]
            == "service/k"
        )
        [use] = json.loads(audit(name, "-o", "json").stdout)["uses"]
        assert use["container"] == ""

    def test_a_custom_resource(self, audit, manifest):
        """What a change does for a custom resource is for its controller to decide, not for Kubernetes."""
        text = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {configMapName: app}\n"
        done = audit(manifest(text), "--uses", "configmap/app", "--ref-path", "Widget.example.com:spec.configMapName")
        lines = words(done.stdout)
        at = lines.index("The controller of these decides what a change does; see its documentation:")
        assert lines[at + 1] == "widget/w"
        assert "Kubernetes reads it again" not in done.stdout

    def test_quoted_commands(self, audit, manifest):
        """A name that a shell would not take as one word is in quotes."""
        metadata = {"name": "x; rm -rf ~", "namespace": "$(id)"}
        app = {"name": "a", "envFrom": [{"configMapRef": {"name": "app"}}]}
        spec = {"template": {"spec": {"containers": [app]}}}
        kinds = ("Deployment", "Rollout", "DeploymentConfig")
        texts = [yaml.dump({"apiVersion": "v1", "kind": each, "metadata": metadata, "spec": spec}) for each in kinds]
        arguments = (manifest("---\n".join(texts)), "--uses", "configmap/app", "--context", "my context")
        scope = "-n '$(id)' --context 'my context'"
        expected = [
            f"kubectl rollout restart 'deployment/x; rm -rf ~' {scope}",
            f"oc rollout restart 'dc/x; rm -rf ~' {scope}",
            f"kubectl argo rollouts restart 'x; rm -rf ~' {scope}",
        ]
        assert json.loads(audit(*arguments, "-o", "json").stdout)["restart"] == expected
        assert [line for line in words(audit(*arguments).stdout) if "--context" in line] == expected

    def test_immutable(self, audit, manifest):
        """For an immutable object there is nothing to restart: a change means a new one."""
        done = audit(manifest(CONFIG_MAP % "app" + "immutable: true\n---\n" + POD), "--uses", "configmap/app")
        assert "kubectl" not in done.stdout
        assert "A change means a new object under a new name; let these name it:" in done.stdout

    def test_hashed_name(self, audit, manifest):
        """For an object with a hash in its name the new object rolls its workloads out."""
        text = CONFIG_MAP % "app-4h2mbtbbt6" + "---\n" + POD.replace("{name: app, key", "{name: app-4h2mbtbbt6, key")
        done = audit(manifest(text), "--uses", "configmap/app-4h2mbtbbt6")
        assert "applying its output rolls these out:" in done.stdout

    def test_json_has_the_commands(self, audit):
        """With -o json the commands that restart are a list."""
        done = audit(SHOP, "--uses", "configmap/payment-api-config", "-o", "json")
        assert done.returncode == 0
        assert json.loads(done.stdout)["restart"] == ["kubectl rollout restart statefulset/legacy-app -n production"]


@pytest.mark.parametrize("output", ["table", "json", "sarif", "github", "markdown", "annotate", "uses"])
@pytest.mark.parametrize("section", ["data", "stringData"])
def test_no_value_in_any_output(audit, manifest, canary, output, section):
    """F06: no value of a Secret, a ConfigMap or a variable is in any output, whatever is wrong with it."""
    value = base64.b64encode(f"{canary}\n".encode()).decode() if section == "data" else f"{canary}\n"
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "app",
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": canary}),
                "used-by-deployments": "nobody",
            },
        },
        section: {"a": value, "b": canary, "c": [canary], "d": {canary: 1}},
    }
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "app"},
        "data": {"a": canary, "b": [canary]},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "app"},
        "spec": {
            "containers": [
                {
                    "name": "app",
                    "env": [
                        {"name": "LITERAL", "value": canary},
                        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "app", "key": "missing"}}},
                    ],
                    "envFrom": [{"configMapRef": {"name": "app"}}],
                }
            ]
        },
    }
    name = manifest("---\n".join(yaml.dump(each) for each in (secret, config, pod)))
    broken = manifest(f"apiVersion: v1\nkind: Secret\nstringData:\n  password: {canary}: {canary}\n", "broken.yaml")
    options = {"annotate": ["--annotate"], "uses": ["--uses", "secret/app"]}.get(output, ["-o", output])
    done = audit(name, broken, *options)
    assert done.returncode == 2
    assert done.stdout
    assert canary not in done.stdout + done.stderr
    assert value.strip() not in done.stdout + done.stderr


def test_symbolic_links_do_not_leave_the_directory(audit, manifest, tmp_path):
    """A link out of the given directory is not followed, and the output says so."""
    manifest(CONFIG_MAP % "outside", "outside.yaml")
    manifest(CONFIG_MAP % "inside", "k8s/inside.yaml")
    (tmp_path / "k8s" / "link.yaml").symlink_to("../outside.yaml")
    text = audit("k8s").stdout
    assert "configmap/inside" in text
    assert "configmap/outside" not in text
    assert "k8s/link.yaml: a symbolic link that leaves the directory is not followed" in text


def test_ref_path(audit, manifest):
    """A custom resource's field that --ref-path names is a use, so that the object is not called unused."""
    text = (
        CONFIG_MAP % "app"
        + "---\napiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {configMapName: app}\n"
    )
    done = audit(manifest(text), "--ref-path", "Widget.example.com:spec.configMapName")
    assert "unused-object" not in done.stdout
    assert "configmap/app  widget/w" in done.stdout
    assert "--ref-path" not in done.stdout
    assert audit(manifest(text), "--ref-path", "Widget").returncode == 2


@pytest.mark.parametrize(
    "path", ["Wodget.example.com:spec.configMapName", "Widget:spec.configMapName", "Widget.example.com:spec.name"]
)
def test_ref_path_that_names_nothing(audit, manifest, path):
    """A --ref-path that names nothing is reported, because the object that it should name counts as unused."""
    text = (
        CONFIG_MAP % "app"
        + "---\napiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {configMapName: app}\n"
    )
    done = audit(manifest(text), "--ref-path", path, "-o", "json")
    assert (done.returncode, json.loads(done.stdout)["notes"]) == (
        0,
        [f"--ref-path {path}: no object of the input names anything there; check kind, group and path"],
    )


def test_the_hook_of_pre_commit(manifest, run, audit):
    """The hook of pre-commit runs this command."""
    [hook] = yaml.safe_load((Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text())[:1]
    assert (hook["id"], hook["language"], hook["pass_filenames"]) == ("liveconfig-audit", "system", False)
    manifest(POD)
    command, *arguments = hook["entry"].split()
    assert command == "liveconfig"
    assert run(*arguments, *hook["args"]).returncode == 0
