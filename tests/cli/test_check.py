"""``liveconfig check``, ``schema`` and ``explain`` of an application that is imported without its volumes."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from liveconfig.testing import check_manifests

ROOT = Path(__file__).parents[2]

APP = """
from pydantic import BaseModel, SecretStr
from typing import Annotated
from liveconfig import Key, Settings, SettingsConfigDict

class Route(BaseModel):
    path: str
    timeout: int = 1

class App(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config", "/etc/secrets"], documents=["app.yaml"])
    endpoint: str
    timeout_seconds: int = 30
    checkout_enabled: bool = False
    routes: list[Route] = []
    port: Annotated[int, Key(restart=True)] = 8000
    password: SecretStr

settings = App.load()

@settings.live.on_change("endpoint")
def moved(change):
    pass

@settings.live.on_change(lambda s: s.password)
def rotated(change):
    pass
"""

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  template:
    spec:
      containers:
      - name: shop
        image: shop:1
        volumeMounts:
        - {name: config, mountPath: /etc/config}
        - {name: secrets, mountPath: /etc/secrets}
      volumes:
      - name: config
        configMap: {name: shop}
      - name: secrets
        secret: {secretName: shop}
---
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop_app.py").write_text(APP)
    return tmp_path


def manifests(data: dict[str, str], secret: dict[str, str] | None = None, deployment: str = DEPLOYMENT) -> str:
    lines = ["apiVersion: v1", "kind: ConfigMap", "metadata: {name: shop}", "data:"]
    lines += [f"  {key}: {json.dumps(value)}" for key, value in data.items()]
    lines += ["---", "apiVersion: v1", "kind: Secret", "metadata: {name: shop}", "data:"]
    given = {"password": "p"} if secret is None else secret
    lines += [f"  {key}: {base64.b64encode(value.encode()).decode()}" for key, value in given.items()]
    return deployment + "\n".join(lines) + "\n"


@pytest.fixture
def check(folder: Path) -> Any:
    """Check text against the application in a process of its own; returns the code, the answer, standard error."""

    def run(text: str, *arguments: str, output: str = "json", env: dict[str, str] | None = None) -> Any:
        (folder / "shop.yaml").write_text(text)
        command = [sys.executable, "-m", "liveconfig", "check", "shop_app:App", "shop.yaml", *arguments, "-o", output]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, env=env, check=False)
        answer = json.loads(done.stdout) if output in ("json", "sarif") and done.stdout else done.stdout
        return done.returncode, answer, done.stderr

    return run


GOOD = {"endpoint": "https://pay", "timeout-seconds": "3"}


def test_accepted(check: Any) -> None:
    """Manifests that the application would accept make exit code 0, and each field names its key and object."""
    code, answer, said = check(manifests(GOOD))
    assert (code, answer["findings"], said) == (0, [], "")
    assert {row["field"]: (row["key"], row["object"], row["state"]) for row in answer["fields"]} == {
        "endpoint": ("endpoint", "configmap/shop", "live"),
        "timeout_seconds": ("timeout-seconds", "configmap/shop", "live"),
        "checkout_enabled": (None, None, "default"),
        "routes": (None, None, "default"),
        "port": (None, None, "default"),
        "password": ("password", "secret/shop", "live"),
    }


MISTAKES = {
    "a number that is none": (manifests({**GOOD, "timeout-seconds": "soon"}), "invalid-value", "timeout-seconds"),
    "a bool that is none": (manifests({**GOOD, "checkout-enabled": "maybe"}), "invalid-value", "checkout-enabled"),
    "a value in a document": (
        manifests({**GOOD, "app.yaml": "routes: [{path: /a, timeout: x}]"}),
        "invalid-value",
        "app.yaml",
    ),
    "a document that does not parse": (manifests({**GOOD, "app.yaml": "routes: ["}), "invalid-value", "app.yaml"),
    "a list that is no JSON": (manifests({**GOOD, "routes": "a, b"}), "invalid-value", "routes"),
    "a mistyped required key": (manifests({"endpont": "https://pay"}), "missing-field", "endpont"),
    "a required key in no object": (manifests({"timeout-seconds": "3"}), "missing-field", "apiVersion"),
    "a missing password": (manifests(GOOD, {"pasword": "p"}), "missing-field", "pasword"),
    "two spellings": (manifests({**GOOD, "timeout_seconds": "4"}), "invalid-value", "timeout"),
    "a number without quotes": (
        manifests({**GOOD, "port": "5"}).replace('port: "5"', "port: 5"),
        "invalid-value",
        "port: 5",
    ),
    "a bool without quotes": (
        manifests({**GOOD, "checkout-enabled": "true"}).replace('"true"', "true"),
        "invalid-value",
        "checkout-enabled",
    ),
    "a value that is left out": (
        manifests({**GOOD, "port": "5"}).replace('port: "5"', "port:"),
        "invalid-value",
        "port:",
    ),
    "a list instead of JSON": (
        manifests({**GOOD, "routes": "x"}).replace('"x"', "[{path: /a}]"),
        "invalid-value",
        "routes",
    ),
    "a Secret that is not encoded": (
        manifests(GOOD).replace("  password: cA==", "  password: not base64"),
        "invalid-value",
        "password",
    ),
    "a name that no key has": (manifests({**GOOD, "check out": "1"}), "invalid-value", "check out"),
    "more than 1 MiB": (manifests({**GOOD, "big": "x" * 1_100_000}), "too-large", "big"),
    "a key in both sections": (
        manifests({**GOOD, "port": "5"}).replace("\ndata:", "\nbinaryData: {port: NQ==}\ndata:", 1),
        "invalid-value",
        "port: ",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(check: Any, name: str) -> None:
    """Each typical mistake is an error with the object, the file and the line of the key."""
    text, rule, key = MISTAKES[name]
    code, answer, _ = check(text)
    assert code == 1
    [finding] = [each for each in answer["findings"] if each["level"] == "error"]
    assert finding["rule"] == rule
    assert finding["object"] in ("configmap/shop", "secret/shop")
    assert finding["file"] == "shop.yaml"
    assert key in text.splitlines()[finding["line"] - 1]


def test_the_place_of_a_missing_field(check: Any) -> None:
    """A missing field is reported at the object of its kind, or at the workload, and at no key of another field."""
    text = manifests(GOOD, {"other": "p"})
    _, answer, _ = check(text)
    [finding] = [each for each in answer["findings"] if each["rule"] == "missing-field"]
    assert (finding["field"], finding["object"]) == ("password", "secret/shop")
    below = text.splitlines()[finding["line"] - 1 :]
    assert below[:2] == ["apiVersion: v1", "kind: Secret"]
    two = f"{text}---\n" + text.partition("---\n")[2].replace("{name: shop}", "{name: two}").replace("other", "third")
    mounted = two.replace(
        "secret: {secretName: shop}", "projected: {sources: [{secret: {name: shop}}, {secret: {name: two}}]}"
    )
    _, answer, _ = check(mounted)
    [finding] = [each for each in answer["findings"] if each["rule"] == "missing-field"]
    assert finding["object"] is None
    assert mounted.splitlines()[finding["line"] - 1] == "apiVersion: apps/v1"


def test_warnings(check: Any) -> None:
    """Unknown keys, frozen fields and shadowed variables are warnings; ``--fail-on warning`` makes them count."""
    deployment = DEPLOYMENT.replace(
        "image: shop:1",
        "image: shop:1\n        env: [{name: ENDPOINT, value: old}, {name: CHECKOUT_ENABLED, value: '1'}]",
    )
    text = manifests({**GOOD, "time-out": "4"}, deployment=deployment)
    code, answer, _ = check(text)
    assert code == 0
    assert {(each["rule"], each["field"]) for each in answer["findings"]} == {
        ("unknown-key", "time-out"),
        ("shadowed-variable", "endpoint"),
        ("frozen-field", "checkout_enabled"),
    }
    lines = {each["field"]: text.splitlines()[each["line"] - 1] for each in answer["findings"]}
    assert "CHECKOUT_ENABLED" in lines["checkout_enabled"]
    assert "time-out" in lines["time-out"]
    assert check(text, "--fail-on", "warning")[0] == 1


def test_what_an_api_server_refuses(check: Any) -> None:
    """A value that an API server refuses makes its field invalid, also where `items` leaves the key out."""
    text = manifests({**GOOD, "port": "5"}).replace('port: "5"', "port: 5")
    code, answer, _ = check(text)
    assert {row["field"]: row["state"] for row in answer["fields"]}["port"] == "invalid"
    [finding] = answer["findings"]
    assert finding["message"] == (
        "configmap/shop: the value of 'port' is of type int, not text: put it in quotes; the API server refuses the object"
    )
    items = "{name: shop, items: [{key: endpoint, path: endpoint}]}"
    code, answer, _ = check(text.replace("configMap: {name: shop}", f"configMap: {items}"))
    assert (code, [each["field"] for each in answer["findings"]]) == (1, ["port"])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "configMap: {name: shop}",
            "configMap: {name: shop, items: [{key: endpoint, path: endpoint}, {key: prt, path: port}]}",
        ),
        (
            "image: shop:1",
            "image: shop:1\n        env: [{name: X, valueFrom: {configMapKeyRef: {name: shop, key: prt}}}]",
        ),
    ],
    ids=["items", "variable"],
)
def test_a_key_that_the_object_does_not_have(check: Any, before: str, after: str) -> None:
    """A key that a container names and that is not there keeps it from starting, unless it is optional."""
    text = manifests(GOOD, deployment=DEPLOYMENT.replace(before, after))
    code, answer, _ = check(text)
    [finding] = [each for each in answer["findings"] if each["level"] == "error"]
    assert (code, finding["rule"], finding["object"], finding["field"]) == (1, "missing-key", "configmap/shop", "prt")
    assert "prt" in text.splitlines()[finding["line"] - 1]
    assert check(text.replace("name: shop, ", "name: shop, optional: true, "))[0] == 0


def test_a_value_of_a_variable(check: Any) -> None:
    """A wrong value that a variable brings is found where the value stands: in the object, or in the workload."""
    for env, line in (
        ("{name: PORT, value: soon}", "name: PORT"),
        ("{name: PORT, valueFrom: {configMapKeyRef: {name: shop, key: http-port}}}", "http-port: "),
    ):
        deployment = DEPLOYMENT.replace("image: shop:1", "image: shop:1\n        env:\n        - " + env)
        text = manifests({**GOOD, "http-port": "soon"}, deployment=deployment)
        _, answer, _ = check(text)
        [finding] = [each for each in answer["findings"] if each["level"] == "error"]
        assert (finding["rule"], finding["field"]) == ("invalid-value", "port")
        assert line in text.splitlines()[finding["line"] - 1]


def test_a_subpath_is_frozen(check: Any) -> None:
    """A key that is mounted with subPath feeds its field and is frozen."""
    deployment = DEPLOYMENT.replace("mountPath: /etc/config}", "mountPath: /etc/config/endpoint, subPath: endpoint}")
    code, answer, _ = check(manifests(GOOD, deployment=deployment))
    assert code == 0
    states = {row["field"]: row["state"] for row in answer["fields"]}
    assert (states["endpoint"], states["timeout_seconds"]) == ("frozen", "default")
    assert [each["rule"] for each in answer["findings"]] == ["frozen-field"]


@pytest.mark.parametrize(
    "secret",
    [
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: shop}\nspec: {encryptedData: {password: AgB}}",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: shop}\nstringData: {password: 'ENC[AES256_GCM,data:x]'}",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: shop}",
    ],
    ids=["sealed", "sops", "without data"],
)
def test_unknown_values(check: Any, secret: str) -> None:
    """An object that is not in the input is unknown, not missing."""
    text = manifests(GOOD).partition("---\napiVersion: v1\nkind: Secret")[0] + "---\n" + secret
    code, answer, _ = check(text)
    assert code == 0
    assert {row["field"]: row["state"] for row in answer["fields"]}["password"] in ("unknown", "live")
    assert not [each for each in answer["findings"] if each["level"] == "error"]


def test_an_object_that_is_not_in_the_input(check: Any) -> None:
    """An object that is mounted and not in the input is one warning, and what it could feed is unknown."""
    text = manifests(GOOD).partition("---\napiVersion: v1\nkind: Secret")[0]
    code, answer, _ = check(text)
    assert code == 0
    [finding] = answer["findings"]
    assert (finding["rule"], finding["object"]) == ("missing-object", "secret/shop")
    assert "secretName: shop" in text.splitlines()[finding["line"] - 1]


def test_nothing_of_this_machine(check: Any, folder: Path) -> None:
    """The environment and .env files of this machine make no difference."""
    import os

    (folder / ".env").write_text("ENDPOINT=https://here\n")
    code, answer, _ = check(manifests({}), env={**os.environ, "ENDPOINT": "https://here", "PASSWORD": "x"})
    assert code == 1
    assert "endpoint" in [each["field"] for each in answer["findings"] if each["rule"] == "missing-field"]


def test_objects_without_a_workload(check: Any) -> None:
    """Without a workload the objects are checked over one volume, or where ``--volume`` puts them."""
    objects = manifests(GOOD).removeprefix(DEPLOYMENT)
    assert check(objects)[0] == 0
    volumes = ("--volume", "/etc/config=configmap/shop", "--volume", "/etc/secrets=secret/shop")
    assert check(objects, *volumes)[0] == 0
    code, _, said = check(objects, "--volume", "/etc/config=shop")
    assert code == 2
    assert "--volume takes MOUNT=configmap/NAME" in said


def test_a_path_after_an_option(check: Any, folder: Path) -> None:
    """A PATH may stand before an option and after one."""
    (folder / "more.yaml").write_text(manifests(GOOD))
    assert check(manifests(GOOD), "--workload", "deploy/shop", "more.yaml", "-n", "default")[0] == 0


def test_which_workload(check: Any) -> None:
    """``--workload`` and ``--container`` choose; a name that is not there is one line and exit code 2."""
    assert check(manifests(GOOD), "--workload", "deploy/shop", "--container", "shop")[0] == 0
    code, _, said = check(manifests(GOOD), "--workload", "deploy/other")
    assert code == 2
    assert "deployment/shop" in said


def test_diff(check: Any, folder: Path) -> None:
    """``--diff`` names the fields that would change, and whether live or at the next start."""
    (folder / "old.yaml").write_text(manifests({**GOOD, "port": "1"}))
    (folder / "new.yaml").write_text(manifests({**GOOD, "port": "2", "checkout-enabled": "true"}))
    code, answer, _ = check(manifests(GOOD), "--diff", "old.yaml", "new.yaml")
    assert code == 0
    assert {each["field"]: each["when"] for each in answer["changes"]} == {
        "port": "restart",
        "checkout_enabled": "live",
    }


def test_diff_of_a_path_that_cannot_be_read(folder: Path) -> None:
    """``--diff`` beside a PATH that is not there exits 2 and names it."""
    code, _, errors = diffed(folder, only_configmap(GOOD), only_configmap(GOOD), "nothing.yaml")
    assert code == 2
    assert "nothing.yaml" in errors


def test_diff_of_nothing(folder: Path) -> None:
    """``--diff`` with a new version that holds no object exits 2: a wrong path does not look like "no change"."""
    (folder / "old").mkdir()
    (folder / "new").mkdir()
    command = [sys.executable, "-m", "liveconfig", "check", "shop_app:App", "--diff", "old", "new"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "holds no ConfigMap" in done.stderr


def test_module_with_a_hyphen(folder: Path) -> None:
    """A module whose name is no identifier is imported, as uvicorn does."""
    (folder / "shop-app.py").write_text(APP)
    command = [sys.executable, "-m", "liveconfig", "schema", "shop-app:App"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("output", ["sarif", "github"])
def test_diff_has_no_findings_to_annotate(folder: Path, output: str) -> None:
    """``--diff`` has no findings, so SARIF and annotations are refused, with what to use."""
    command = [sys.executable, "-m", "liveconfig", "check", "shop_app:App", "--diff", "old.yaml", "new.yaml"]
    done = subprocess.run([*command, "-o", output], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "use -o table or -o json" in done.stderr


def test_outputs(check: Any) -> None:
    """SARIF and GitHub annotations name file and line; the table names the rule."""
    text = manifests({**GOOD, "timeout-seconds": "soon"})
    result = check(text, output="sarif")[1]["runs"][0]["results"][0]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "shop.yaml"
    assert "::error file=shop.yaml,line=" in check(text, output="github")[1]
    assert "[invalid-value]" in check(text, output="table")[1]


@pytest.mark.parametrize("output", ["table", "json", "sarif", "github"])
def test_no_value(check: Any, output: str, canary: str) -> None:
    """No output holds a value."""
    text = manifests(
        {"endpoint": canary, "timeout-seconds": canary, "app.yaml": f"routes: {canary}"}, {"password": canary}
    )
    code, answer, said = check(text, output=output)
    assert code == 1
    assert canary not in json.dumps(answer) + said


@pytest.mark.parametrize(
    ("target", "line"),
    [
        (
            "nowhere:App",
            "there is no module 'nowhere': run this in the directory of the application, set PYTHONPATH, or install it in "
            "this environment",
        ),
        ("shop_app:Ap", "did you mean 'App'"),
        ("shop_app:moved", "is no Settings class; settings classes of shop_app: App"),
        ("shop_app", "is not MODULE:CLASS"),
        ("./shop_app.py:App", "'./shop_app.py' is not the name of a module: write it with dots, as app.settings"),
    ],
)
def test_bad_target(folder: Path, target: str, line: str) -> None:
    """A class that cannot be imported is one line and exit code 2."""
    for command in (["check", target, "."], ["schema", target]):
        done = subprocess.run(
            [sys.executable, "-m", "liveconfig", *command],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2
        assert line in done.stderr
        assert done.stderr.count("\n") == 1


CLIENTS = """
from liveconfig.integrations.credentials import credential
get_password = credential(settings, "password")
from liveconfig.integrations.keys import KeyRing
ring = KeyRing(settings, "password", previous="endpoint")
import httpx
from liveconfig.integrations.httpx import TokenAuth
client = httpx.Client(auth=TokenAuth(settings, "password"))
import sqlalchemy
from liveconfig.integrations import sqlalchemy as to_sqlalchemy
engine = sqlalchemy.create_engine("postgresql+psycopg://db/shop")
to_sqlalchemy.bind(engine, settings, user="endpoint", password="password")
import redis
from liveconfig.integrations import redis as to_redis
to_redis.bind(redis.Redis(), settings, user=None, password="password")
import celery
from liveconfig.integrations import celery as to_celery
to_celery.bind(celery.Celery(broker="amqp://mq//"), settings, user="endpoint", password="password")
import flask
from liveconfig.integrations.flask import LiveConfig
app = flask.Flask(__name__)
LiveConfig(settings, mirror={"API_KEY": "password", "SECRET_KEY": "password"}).init_app(app)
from openfeature import api
from liveconfig.integrations.openfeature import LiveConfigProvider
api.set_provider(LiveConfigProvider(settings, "endpoint", flagd="password"))

@settings.live.on_change("endpoint", initial=True)
def changed(change): ...

settings.live.status().as_dict()
settings.live.origins()
settings.live.reload()
"""


@pytest.mark.parametrize("command", [("check", "shop_app:App", "shop.yaml"), ("schema", "shop_app:App")])
def test_a_module_that_binds_clients(folder: Path, command: tuple[str, ...]) -> None:
    """An application that binds its clients at the top of a module is imported without its volumes."""
    (folder / "shop_app.py").write_text(APP + CLIENTS)
    (folder / "shop.yaml").write_text(manifests(GOOD))
    done = said(folder, *command)
    assert (done.returncode, done.stderr) == (0, "")


FLAGS = """
from openfeature import api
from liveconfig.integrations.openfeature import LiveConfigProvider

class Flags(BaseModel):
    checkout: bool

class FlagApp(App):
    flags: Flags
    targeting: str

api.set_provider(LiveConfigProvider(FlagApp.load(), prefix="flags", flagd="targeting"))
"""


@pytest.mark.parametrize("command", [("check", "shop_app:App", "shop.yaml"), ("schema", "shop_app:App")])
def test_a_module_that_provides_flags(folder: Path, command: tuple[str, ...]) -> None:
    """An application that sets a provider of flags at the top of a module is imported without its volumes."""
    pytest.importorskip("openfeature.contrib.tools.flagd.core", reason="pip install openfeature-flagd-core")
    (folder / "shop_app.py").write_text(APP + FLAGS)
    (folder / "shop.yaml").write_text(manifests(GOOD))
    done = said(folder, *command)
    assert (done.returncode, done.stderr) == (0, "")
    done = said(folder, "explain", "shop_app:settings")
    assert (done.returncode, done.stdout) == (1, "")
    assert "App: no valid configuration" in done.stderr


def test_a_module_that_reads_a_missing_value(folder: Path) -> None:
    """An application that reads a missing value while it is imported makes exit code 2, with line, cause and advice."""
    (folder / "shop_app.py").write_text(APP + "\nprint(settings.timeout_seconds)\nurl = settings.endpoint\n")
    line = (folder / "shop_app.py").read_text().splitlines().index("url = settings.endpoint") + 1
    for command in (["check", "shop_app:App", "."], ["schema", "shop_app:App"], ["explain", "shop_app:settings"]):
        done = said(folder, *command)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"shop_app.py:{line} reads a value that is missing here. Read it later" in done.stderr
        assert "endpoint: Field required" in done.stderr


def test_a_module_that_reads_a_missing_value_in_a_function(folder: Path) -> None:
    """The line is the one that reads the value, in a package and behind other calls too."""
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").write_text("")
    (folder / "shop" / "client.py").write_text(
        "from shop_app import settings\n\ndef connect():\n    return settings.endpoint\n\nclient = connect()\n"
    )
    done = said(folder, "check", "shop.client:settings", ".")
    assert done.returncode == 2
    assert f"{os.path.join('shop', 'client.py')}:4 reads a value that is missing here" in done.stderr


def test_a_module_with_a_class_that_is_wrong(folder: Path) -> None:
    """An error about a class is reported with the line of the class."""
    (folder / "wrong.py").write_text(
        "from shop_app import *\n\nclass Wrong(Settings, volume=['/etc/config']):\n    pass\n"
    )
    done = said(folder, "schema", "wrong:Wrong")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "cannot be imported: wrong.py:3: Wrong: unknown class argument `volume`" in done.stderr


def said(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "liveconfig", *command]
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("output", ["table", "json", "sarif", "github"])
def test_input_that_cannot_be_read(check: Any, output: str) -> None:
    """Input that cannot be read is named on standard error with its file and line, in every format."""
    code, _, errors = check("kind: ConfigMap\nmetadata:\n\tname: x\n", output=output)
    assert code == 2
    assert errors.startswith("liveconfig check: shop.yaml:3: not valid YAML")


@pytest.mark.parametrize("workload", ["web", "deployment/", "/web"])
def test_a_workload_without_its_kind_or_name(check: Any, workload: str) -> None:
    """A --workload that is not KIND/NAME is one line that says so, with exit code 2."""
    code, answer, errors = check(manifests(GOOD), "--workload", workload)
    assert (code, answer) == (2, "")
    assert errors == f"liveconfig check: --workload takes KIND/NAME, as in deployment/web, not '{workload}'\n"


SEALED = """
apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata: {name: shop}
spec:
  encryptedData:
    KEY: AgCANARY
---
"""
EXTERNAL = """
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: shop}
spec:
  data:
  - {secretKey: KEY, remoteRef: {key: CANARY}}
---
"""
ENCRYPTED = """
apiVersion: v1
kind: Secret
metadata: {name: shop}
stringData:
  KEY: ENC[AES256_GCM,data:CANARY,type:str]
---
"""


@pytest.mark.parametrize("secret", [SEALED, EXTERNAL, ENCRYPTED])
def test_names_of_values_that_are_not_in_the_input(check: Any, secret: str) -> None:
    """The name of a key is checked, although its value is not in the input: a wrong one is reported with the nearest."""
    config = manifests(GOOD).partition("---\napiVersion: v1\nkind: Secret")[0] + "---\n"
    code, answer, _ = check(config + secret.replace("KEY", "password"))
    assert (code, answer["findings"]) == (0, [])
    code, answer, _ = check(config + secret.replace("KEY", "pasword"))
    found = {each["rule"]: each for each in answer["findings"]}
    assert (code, set(found)) == (1, {"missing-field", "unknown-key"})
    assert (found["unknown-key"]["key"], found["unknown-key"]["object"]) == ("pasword", "secret/shop")
    assert "did you mean 'password'" in found["unknown-key"]["message"]
    assert "CANARY" not in json.dumps(answer)


def test_files_that_are_no_keys(check: Any) -> None:
    """Files of a volume that come from no object, such as a token, are no unknown keys."""
    sources = "{sources: [{secret: {name: shop}}, {serviceAccountToken: {path: token}}]}"
    deployment = DEPLOYMENT.replace("secret: {secretName: shop}", f"projected: {sources}")
    code, answer, _ = check(manifests(GOOD, deployment=deployment))
    assert (code, answer["findings"]) == (0, [])


def hashed(text: str) -> str:
    """Give the ConfigMap the name that kustomize makes for its content."""
    content = json.dumps({"data": GOOD, "kind": "ConfigMap", "name": "shop"}, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(content.encode()).hexdigest()[:10].translate(str.maketrans("013ae", "ghkmt"))
    text = text.replace("configMap: {name: shop}", f"configMap: {{name: shop-{digest}}}")
    return text.replace(
        "kind: ConfigMap\nmetadata: {name: shop}", f"kind: ConfigMap\nmetadata: {{name: shop-{digest}}}"
    )


def immutable(text: str) -> str:
    return text.replace("kind: ConfigMap\n", "kind: ConfigMap\nimmutable: true\n")


@pytest.mark.parametrize(("change", "why"), [(immutable, "is immutable"), (hashed, "hash of its content")])
def test_objects_that_never_change(check: Any, change: Any, why: str) -> None:
    """Fields that an immutable object feeds, or one with a hash in its name, are frozen, as `audit` says."""
    code, answer, _ = check(change(manifests(GOOD)))
    states = {row["field"]: row["state"] for row in answer["fields"]}
    assert (code, states["endpoint"], states["password"]) == (0, "frozen", "live")
    found = {each["field"]: each for each in answer["findings"]}
    assert {each["rule"] for each in found.values()} == {"frozen-field"}
    assert set(found) == {"endpoint", "timeout_seconds"}
    assert why in found["endpoint"]["message"]


def test_keys_of_findings(check: Any) -> None:
    """Each finding of a key names the key in JSON, and that of a variable the variable."""
    deployment = DEPLOYMENT.replace(
        "        volumeMounts:", "        env: [{name: PORT, value: '1'}]\n        volumeMounts:"
    )
    data = {**GOOD, "timeout-seconds": "soon", "endpont": "x", "app.yaml": "routes: [{path: /a, timeout: x}]"}
    _, answer, _ = check(manifests(data, deployment=deployment))
    found = {(each["rule"], each["field"]): each["key"] for each in answer["findings"]}
    assert found == {
        ("invalid-value", "timeout_seconds"): "timeout-seconds",
        ("invalid-value", "routes[0].timeout"): "app.yaml",
        ("unknown-key", "endpont"): "endpont",
        ("frozen-field", "port"): "PORT",
    }


def test_explain_without_volumes(folder: Path) -> None:
    """``explain`` of settings that have no configuration here prints the error and ends with 1."""
    command = [sys.executable, "-m", "liveconfig", "explain", "shop_app:settings"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "endpoint: Field required" in done.stderr


def test_schema(folder: Path) -> None:
    """The schema accepts the data of a good ConfigMap and refuses unknown keys and wrong values; it has no secrets."""
    command = [sys.executable, "-m", "liveconfig", "schema", "shop_app:App"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    schema = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(GOOD)
    assert validator.is_valid({"endpoint": "x", "checkout_enabled": "True"})
    assert not validator.is_valid({"endpoint": "x", "timeout-seconds": "soon"})
    assert not validator.is_valid({"endpoint": "x", "unknown": "1"})
    assert "password" not in schema["properties"]


@pytest.mark.parametrize("name", ["fastapi", "flask", "django"])
def test_the_examples(name: str) -> None:
    """Each example application accepts its own manifests."""
    folder = ROOT / "examples" / name
    module = {"fastapi": "app:AppSettings", "flask": "app:AppSettings", "django": "greeter.live:AppSettings"}[name]
    command = [sys.executable, "-m", "liveconfig", "check", module, "k8s"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_check_manifests(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check_manifests` passes for good manifests, and fails with file and line for bad ones."""
    from liveconfig import Settings, SettingsConfigDict

    class App(Settings):
        model_config = SettingsConfigDict(volumes=["/etc/config", "/etc/secrets"])
        endpoint: str
        timeout_seconds: int = 1
        password: str

    path = folder / "shop.yaml"
    path.write_text(manifests(GOOD))
    check_manifests(App, path)
    path.write_text(manifests({**GOOD, "timeout-seconds": "soon"}))
    with pytest.raises(AssertionError, match=r"shop\.yaml:\d+: timeout_seconds: .*\[invalid-value\]"):
        check_manifests(App, path)


@pytest.mark.parametrize(("given", "found"), [("app:App", "str"), (dict, "the class dict")])
def test_check_manifests_of_no_class(given: Any, found: str) -> None:
    """Something else than a settings class is a TypeError that says so."""
    with pytest.raises(TypeError, match=f"expected a settings class, a subclass of Settings, found {found}"):
        check_manifests(given, "shop.yaml")


def test_volumes_that_are_named_wrongly(check: Any) -> None:
    """``--volume`` of a path that the class does not declare is an error; an object that is not there is a warning."""
    text = manifests(GOOD, deployment="")
    code, _, said = check(text, "--volume", "/etc/confg=configmap/shop")
    assert code == 2
    assert "/etc/confg is no volume of App, which declares /etc/config, /etc/secrets" in said
    code, answer, _ = check(text, "--volume", "/etc/config=configmap/shp", "--volume", "/etc/secrets=secret/shop")
    assert code == 0
    assert [(each["rule"], each["object"]) for each in answer["findings"]] == [("missing-object", "configmap/shp")]
    assert {row["field"]: row["state"] for row in answer["fields"]}["endpoint"] == "unknown"


def diffed(folder: Path, old: str, new: str, *paths: str) -> tuple[int, Any, str]:
    """The code, the answer and standard error of ``check --diff``."""
    (folder / "old.yaml").write_text(old)
    (folder / "new.yaml").write_text(new)
    command = [sys.executable, "-m", "liveconfig", "check", "shop_app:App", *paths, "--diff", "old.yaml", "new.yaml"]
    done = subprocess.run([*command, "-o", "json"], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def only_configmap(data: dict[str, str]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop"}, "data": data})


OLD = {**GOOD, "port": "1", "app.yaml": "routes: [{path: /a}]"}
NEW = {**GOOD, "port": "2", "timeout-seconds": " 3", "checkout-enabled": "on", "app.yaml": "routes: [{path: /b}]"}


@pytest.mark.parametrize("workload", [DEPLOYMENT, ""], ids=["with a workload", "objects alone"])
def test_diff_without_the_secret(folder: Path, workload: str) -> None:
    """``--diff`` compares what is known where a required Secret is not among the files, and names what is not known."""
    code, answer, said = diffed(folder, workload + only_configmap(OLD), workload + only_configmap(NEW))
    assert (code, said) == (0, "")
    when = {each["field"]: each["when"] for each in answer["changes"]}
    assert (when["port"], when["routes"]) == ("restart", "live")
    assert not {"endpoint", "timeout_seconds", "password"} & when.keys()
    assert "password" in answer["unknown"]
    assert not {"endpoint", "port", "routes"} & set(answer["unknown"])


def test_diff_of_a_secret_in_one_version(folder: Path) -> None:
    """A value that only one version holds is not known to change."""
    code, answer, _ = diffed(folder, manifests(OLD), DEPLOYMENT + only_configmap(NEW))
    assert code == 0
    assert "password" in answer["unknown"]
    assert "password" not in {each["field"] for each in answer["changes"]}


def test_diff_of_an_encrypted_value(folder: Path) -> None:
    """An encrypted value is not known; all else is compared."""
    sealed = DEPLOYMENT + only_configmap(GOOD) + "\n---\n" + _SOPS
    changed = sealed.replace("https://pay", "https://other").replace("AAAA", "BBBB")
    code, answer, _ = diffed(folder, sealed, changed)
    assert (code, answer) == (
        0,
        {
            "schema": 1,
            "changes": [{"field": "endpoint", "when": "live"}],
            "unknown": ["password"],
            "not_compared": [],
        },
    )


_SOPS = """
apiVersion: v1
kind: Secret
metadata: {name: shop}
stringData: {password: "ENC[AES256_GCM,data:AAAA,iv:AA==,tag:AA==,type:str]"}
"""


def test_diff_of_a_field_that_is_removed(folder: Path) -> None:
    """A version that lacks a required key, which the other has, has no valid configuration, Secret or no Secret."""
    code, _, said = diffed(folder, DEPLOYMENT + only_configmap(GOOD), manifests({"timeout-seconds": "3"}))
    assert code == 2
    assert "NEW has no valid configuration" in said


def test_diff_without_the_secret_as_a_table(check: Any, folder: Path) -> None:
    """The table ends with a sentence that names the fields whose values are not in the input."""
    (folder / "old.yaml").write_text(only_configmap(OLD))
    (folder / "new.yaml").write_text(only_configmap(OLD))
    code, text, _ = check(DEPLOYMENT, "--diff", "old.yaml", "new.yaml", output="table")
    assert code == 0
    assert "No known field would change." in text
    assert "Not known, because their values are not in the input: " in text
    assert "password" in text
