"""kustomize's hash, against vectors that kustomize 5.5 and kubectl 1.32 printed, and one computed by hand."""

from __future__ import annotations

import hashlib

import pytest
import yaml

from liveconfig._manifests.kustomize import ends_in_hash, hash_of

# What `kustomize build` made of generators with a namePrefix, a namespace, labels and `immutable: true`.
BUILT = [
    "kind: ConfigMap\nmetadata: {name: team-bin-96b8m9h69g}\nbinaryData: {logo.bin: //4A}\n",
    "kind: ConfigMap\nmetadata: {name: team-empty-6ct58987ht}\n",
    "kind: ConfigMap\nmetadata: {name: team-imm-4h2mbtbbt6}\nimmutable: true\ndata: {a: b}\n",
    'kind: ConfigMap\nmetadata: {name: web-4h2mbtbbt6}\ndata: {"a": "b"}\n',
    'kind: ConfigMap\nmetadata: {name: html-4gd9h95m2c}\ndata:\n  html: <a href="x">&amp;</a>\n  line: |-\n    one\n    two\n',
    # kubectl create configmap and secret with --append-hash
    "kind: ConfigMap\nmetadata: {name: web-gmhk54bgc9}\ndata: {a: b}\n",
    "kind: Secret\nmetadata: {name: db-9c9cgdg472}\ndata: {password: eA==}\n",
    "kind: Secret\nmetadata: {name: team-tls-f4c6k54dt5}\ntype: kubernetes.io/tls\ndata: {tls.crt: eA==, tls.key: eQ==}\n",
    """\
kind: Secret
metadata: {name: team-db-hmbkhk4g5m}
type: Opaque
data:
  long: |
    YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYW
    FhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh
    YWFhYWE=
  password: czNjcmV0
""",
]


@pytest.mark.parametrize("text", BUILT)
def test_built_by_kustomize(text):
    """The hash of an object that kustomize generated is the one in its name."""
    manifest = yaml.safe_load(text)
    assert ends_in_hash(manifest, manifest["metadata"]["name"])


def test_by_hand():
    """The hash is ten characters of the SHA-256 of the JSON, with five hex digits replaced: no vowel, no 0, 1 or 3."""
    text = '{"data":{"message":"hello"},"kind":"ConfigMap","name":""}'
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    expected = "".join({"0": "g", "1": "h", "3": "k", "a": "m", "e": "t"}.get(sign, sign) for sign in digest)
    assert hash_of({"kind": "ConfigMap", "data": {"message": "hello"}}, "") == expected


def test_signs_that_go_escapes():
    """The signs that Go writes as escapes in JSON are hashed as such."""
    text = '{"data":{"a":"\\u003cb\\u003e \\u0026 \\u2028"},"kind":"ConfigMap","name":""}'
    digest = hashlib.sha256(text.encode()).hexdigest()[:10].translate(str.maketrans("013ae", "ghkmt"))
    assert hash_of({"kind": "ConfigMap", "data": {"a": "<b> & \u2028"}}, "") == digest


def test_kubectl_append_hash():
    """Kubectl create --append-hash hashes the name too."""
    manifest = {"kind": "ConfigMap", "data": {"a": "b"}}
    name = f"web-{hash_of(manifest, 'web')}"
    assert ends_in_hash(manifest, name)
    assert not ends_in_hash(manifest, name.replace("web", "app"))


@pytest.mark.parametrize(
    "name", ["web", "web-4h2mbtbbt7", "4h2mbtbbt6", "-4h2mbtbbt6", "web-4h2mbtbbt", "web-1.2.3", "web-abcdefghij"]
)
def test_other_names(name):
    """A name that does not end in the hash of the content is no hashed name."""
    assert not ends_in_hash({"kind": "ConfigMap", "data": {"a": "b"}}, name)


def test_changed_content():
    """The hash of other content proves nothing."""
    assert not ends_in_hash({"kind": "ConfigMap", "data": {"a": "c"}}, "web-4h2mbtbbt6")


@pytest.mark.parametrize(
    "content",
    [{"data": {"a": ["b"]}}, {"data": ["b"]}, {"stringData": {"a": {"b": "c"}}}, {"type": ["b"]}, {"data": {1: "a"}}],
)
def test_content_that_is_no_text(content):
    """Content that no API server takes is not hashed: aliases can make it endless."""
    manifest = {"kind": "Secret", **content}
    assert not ends_in_hash(manifest, f"web-{hash_of(manifest, '')}")
