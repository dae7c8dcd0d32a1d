"""`KubeletVolume.apply`: what the kubelet makes of a ConfigMap or a Secret, and what an API server refuses."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import traceback

import pytest

CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: web-message
data:
  message: "hello world"
  checkout_enabled: "true"
  application.yaml: |
    db:
      host: db-1
binaryData:
  logo.png: iVBORw==
"""

HEAD = CONFIG_MAP.partition("data:\n  message")[0]

EXPECTED = {
    "message": b"hello world",
    "checkout_enabled": b"true",
    "application.yaml": b"db:\n  host: db-1\n",
    "logo.png": b"\x89PNG",
}


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def secret(**sections):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "app-secrets"}, **sections}


def config_map(**sections):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web-message"}, **sections}


def content(volume):
    data = volume.path / "..data"
    return {name: (data / name).read_bytes() for name in os.listdir(data)}


class TestConfigMap:
    def test_text(self, kubelet_volume):
        """The text of a ConfigMap gives its data as UTF-8 and its binaryData decoded."""
        kubelet_volume.apply(CONFIG_MAP)
        assert content(kubelet_volume) == EXPECTED

    @pytest.mark.parametrize("as_path", [str, os.fspath, lambda path: path])
    def test_path(self, kubelet_volume, tmp_path, as_path):
        """A manifest may be named by its path."""
        (tmp_path / "web.yaml").write_text(CONFIG_MAP)
        kubelet_volume.apply(as_path(tmp_path / "web.yaml"))
        assert content(kubelet_volume) == EXPECTED

    def test_mapping(self, kubelet_volume):
        """A manifest may be the object itself."""
        kubelet_volume.apply(config_map(data={"message": "grüß dich"}))
        assert content(kubelet_volume) == {"message": "grüß dich".encode()}

    def test_replaces(self, kubelet_volume):
        """A manifest replaces all keys that were there, in one swap."""
        kubelet_volume.write({"old": "x"})
        kubelet_volume.apply(config_map(data={"new": "y"}))
        assert sorted(name for name in os.listdir(kubelet_volume.path) if not name.startswith("..")) == ["new"]

    @pytest.mark.parametrize("data", [None, {}])
    def test_empty(self, kubelet_volume, data):
        """A ConfigMap without data is an empty generation."""
        kubelet_volume.write({"old": "x"})
        kubelet_volume.apply(config_map(data=data))
        assert content(kubelet_volume) == {}

    def test_one_document_among_empty_ones(self, kubelet_volume):
        """Empty documents before and after the object do no harm."""
        kubelet_volume.apply(f"---\n---\n{CONFIG_MAP}---\n")
        assert content(kubelet_volume) == EXPECTED


class TestSecret:
    def test_data(self, kubelet_volume):
        """The data of a Secret is decoded and nothing else: the line end that echo made stays."""
        kubelet_volume.apply(secret(data={"mysql-host": "ZGItMQo=", "binary": "//4="}))
        assert content(kubelet_volume) == {"mysql-host": b"db-1\n", "binary": b"\xff\xfe"}

    def test_string_data_wins(self, kubelet_volume):
        """The stringData of a Secret is taken as it is, and wins over data."""
        kubelet_volume.apply(secret(data={"a": "eA==", "b": "eA=="}, stringData={"b": "eA=="}))
        assert content(kubelet_volume) == {"a": b"x", "b": b"eA=="}

    def test_wrapped_base64(self, kubelet_volume):
        """Line ends within base64 are skipped, as Go does."""
        kubelet_volume.apply(secret(data={"key": f"{encoded('x' * 45)}\r\n{encoded('yy')}\n"}))
        assert content(kubelet_volume) == {"key": b"x" * 45 + b"yy"}

    @pytest.mark.parametrize("text", ["eA", "eA=", "e A==", "eA==x", "eA==eA==", "eA-_", "ä"])
    def test_not_base64(self, kubelet_volume, text):
        """A value that is not base64 is an error with the name of the key."""
        with pytest.raises(ValueError, match=r"'password' in 'data' of Secret app-secrets is not base64"):
            kubelet_volume.apply(secret(data={"password": text}))


class TestRefused:
    """An object that an API server rejects is a ValueError with the reason, and nothing is written."""

    @pytest.mark.parametrize(
        ("manifest", "message"),
        [
            (config_map(data={"flag": True}), "'flag' in 'data' of ConfigMap web-message is of type bool, not text"),
            (config_map(data={"port": 8080}), "is of type int, not text: put it in quotes"),
            (config_map(data={"empty": None}), "is of type NoneType, not text"),
            (
                config_map(data={1: "x"}),
                "the key 1 in 'data' of ConfigMap web-message is of type int: put it in quotes",
            ),
            (
                HEAD + "data: {on: x}\n",
                "the key true in 'data' of ConfigMap web-message is of type bool: put it in quotes",
            ),
            (config_map(data=["x"]), "'data' of ConfigMap web-message is of type list, not a mapping"),
            (config_map(data={"a/b": "x"}), "the key 'a/b' in 'data' of ConfigMap web-message holds '/'"),
            (config_map(data={"a b": "x"}), "no volume can hold the key 'a b'"),
            (
                config_map(data={"a": "x\ud800"}),
                "'a' in 'data' of ConfigMap web-message is not text that can be written",
            ),
            (config_map(stringData={"a": "x"}), "ConfigMap web-message has 'stringData', and no ConfigMap takes that"),
            (
                config_map(dta={"a": "x"}),
                "ConfigMap web-message has 'dta', and no ConfigMap takes that; did you mean 'data'",
            ),
            (config_map(type="Opaque"), "ConfigMap web-message has 'type'"),
            (config_map(**{"": 1}), "ConfigMap web-message has ''"),
            ({**config_map(), 1: "x"}, "ConfigMap web-message has 1"),
            (config_map(apiVersion="v2"), "ConfigMap web-message has no 'apiVersion: v1'"),
            (config_map(apiVersion=None), "ConfigMap web-message has no 'apiVersion: v1'"),
            (config_map(metadata={}), "this ConfigMap has no name: 'metadata' needs a 'name'"),
            (config_map(metadata={"name": 1}), "this ConfigMap has no name"),
            (config_map(metadata=["web"]), "this ConfigMap has no name"),
            ({"apiVersion": "v1", "kind": "Secret"}, "this Secret has no name"),
            (config_map(kind=["ConfigMap"]), "found an object without a kind web-message"),
            ("kind: ConfigMap", "ConfigMap has no 'apiVersion: v1'"),
            ("", "found no document"),
            (secret(binaryData={"a": "eA=="}), "Secret app-secrets has 'binaryData'"),
            (config_map(data={"a": "x"}, binaryData={"a": "eA=="}), "'a' is in 'data' and in 'binaryData'"),
            (config_map(data={"a": "x" * (1024 * 1024 + 1)}), "holds 1048577 bytes; an API server takes 1048576"),
            ({"kind": "Deployment", "metadata": {"name": "web"}}, "found Deployment web"),
            ({"data": {"a": "x"}}, "found an object without a kind"),
            ("just\ntext\n", "found a document of type str"),
            ("- a\n- b\n", "found a document of type list"),
            ("\n", "found no document"),
            (" ", "found no document"),
            (f"{CONFIG_MAP}---\nkind: Service\n", "found ConfigMap web-message, Service"),
        ],
    )
    def test_refused(self, kubelet_volume, manifest, message):
        """A manifest that is not one good ConfigMap or Secret is refused with the reason."""
        with pytest.raises(ValueError, match=r"ConfigMap|Secret|key") as caught:
            kubelet_volume.apply(manifest)
        assert message in str(caught.value)
        assert kubelet_volume.generation is None

    def test_invalid_yaml(self, kubelet_volume):
        """B01: text that is not YAML is refused with the line."""
        with pytest.raises(ValueError, match="the text cannot be read: line 3: not valid YAML"):
            kubelet_volume.apply("kind: ConfigMap\ndata: [\n")

    def test_tags(self, kubelet_volume):
        """B09: a YAML tag that would make an object of Python is refused."""
        with pytest.raises(ValueError, match="the text cannot be read: line 2: a YAML tag"):
            kubelet_volume.apply("kind: ConfigMap\ndata: !!python/object/apply:os.getcwd []\n")

    @pytest.mark.parametrize("value", ["!!timestamp x", "!!int x", "!!bool x", "!!float x", "{[]: x}", "\x00"])
    def test_value_that_does_not_fit_its_tag(self, kubelet_volume, value):
        """E216: what YAML itself cannot make a value of is refused with the line, whatever Python says of it."""
        with pytest.raises(ValueError, match="the text cannot be read: line 7: ") as caught:
            kubelet_volume.apply(f"{HEAD}data:\n  a: b\n  c: {value}\n")
        assert caught.value.__context__ is None

    @pytest.mark.parametrize("date", ["2026-11-26", "2026-13-45", "2026-11-26T10:00:00Z"])
    def test_date(self, kubelet_volume, date):
        """A date without quotes is text, as it is to Kubernetes, be it a real one or not."""
        kubelet_volume.apply(f"{HEAD}data:\n  since: {date}\n")
        assert content(kubelet_volume) == {"since": date.encode()}

    def test_not_text(self, kubelet_volume, tmp_path):
        """B06: a file that is not UTF-8 is refused by its name."""
        (tmp_path / "web.yaml").write_bytes(b"kind: \xff\n")
        with pytest.raises(ValueError, match=r"web\.yaml is not UTF-8 text") as caught:
            kubelet_volume.apply(tmp_path / "web.yaml")
        assert caught.value.__context__ is None

    def test_a_path_is_no_text(self, kubelet_volume, tmp_path):
        """A directory in the place of a manifest is an error that names it."""
        with pytest.raises(IsADirectoryError, match=tmp_path.name):
            kubelet_volume.apply(tmp_path)

    def test_missing_file(self, kubelet_volume, tmp_path):
        """A path that leads nowhere is a FileNotFoundError."""
        with pytest.raises(FileNotFoundError, match=r"nowhere\.yaml"):
            kubelet_volume.apply(str(tmp_path / "nowhere.yaml"))

    @pytest.mark.parametrize(
        "manifest",
        [
            lambda value: secret(data={"password": value}),
            lambda value: secret(stringData={"password": [value]}),
            lambda value: f"kind: Secret\nstringData:\n  password: '{value}\n",
            lambda value: f"kind: Secret\nstringData:\n  password: {value}: {value}\n",
            lambda value: f'{{"kind": "Secret", "stringData": {{"password": "{value}',
            lambda value: json.dumps(secret(stringData={"password": value}, data=[value])),
            lambda value: [value],
            lambda value: secret(stringData={"password": f"{value}\ud800"}),
            lambda value: json.dumps(secret(stringData={"password": f"{value}\ud800"})),
            lambda value: f"kind: Secret\nstringData:\n  password: {value}\ud800\n",
            lambda value: f"kind: Secret\nstringData:\n  password: !!int {value}\n",
            lambda value: f"kind: Secret\nstringData: {{password: {value}}}\n",
            lambda value: f"kind: [Secret, {value}]\nmetadata: {{name: [{value}]}}\n",
        ],
    )
    def test_no_value_in_an_error(self, kubelet_volume, canary, manifest):
        """F01, F62: no error of a manifest holds a value: message, cause, context, frames, attributes."""
        manifests = [manifest(canary)]
        with pytest.raises((ValueError, TypeError)) as caught:
            kubelet_volume.apply(manifests.pop())
        assert caught.value.__cause__ is caught.value.__context__ is None
        said = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        frames = [frame for frame in said.stack if frame.filename != __file__]
        assert frames
        assert canary not in str(frames) + "".join(said.format_exception_only()) + repr(vars(caught.value))
        assert canary not in "".join(traceback.StackSummary.from_list(frames).format())
        assert not isinstance(caught.value, UnicodeError)


class TestWithoutYaml:
    PROGRAM = (
        "import sys; sys.modules['yaml'] = None\n"
        "from liveconfig.testing import KubeletVolume\n"
        "KubeletVolume(sys.argv[1]).apply(sys.argv[2])\n"
    )

    def apply(self, volume, text):
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-c", self.PROGRAM, str(volume.path), text]
        return subprocess.run(command, env=env, timeout=30, check=False, capture_output=True, text=True)

    def test_json(self, kubelet_volume):
        """A manifest in JSON needs no PyYAML."""
        done = self.apply(kubelet_volume, json.dumps(config_map(data={"message": "hello"}), indent=2))
        assert (done.returncode, done.stderr) == (0, "")
        assert content(kubelet_volume) == {"message": b"hello"}

    def test_yaml(self, kubelet_volume):
        """A manifest in YAML says which extra it needs."""
        done = self.apply(kubelet_volume, CONFIG_MAP)
        assert "ModuleNotFoundError" in done.stderr
        assert "pip install 'pyyaml>=6" in done.stderr
