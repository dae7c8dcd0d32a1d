"""Fields that name a ConfigMap or Secret in objects without a pod template, and objects that create one.

One table for what Kubernetes itself knows (an Ingress and its certificates) and for what the user names with
``--ref-path`` (custom resources).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from liveconfig._manifests.objects import (
    ANY_NAMESPACE,
    DATA_KINDS,
    DataKey,
    DataObject,
    ObjectId,
    group_of,
    items,
    mapping,
    place_of,
    text,
)
from liveconfig._manifests.parser import Map, Seq

_STEP = re.compile(r"""\.?(?:([^.\[\]]+)|\[(?:\*|\d*)\]|\[(?:"([^"]+)"|'([^']+)')\])""")


@dataclass(frozen=True, slots=True)
class RefPath:
    """A field that names ConfigMaps or Secrets, in objects of one kind.

    Attributes:
        kind: The kind, compared without regard to case.
        group: The API group, empty for the core group.
        steps: Names of fields; an empty one stands for each item of a list.
        how: The name of the use.
        why: What happens when the object changes.
    """

    kind: str
    group: str
    steps: tuple[str, ...]
    how: str = "ref-path"
    why: str = "the controller of this resource reads it; see its documentation for what it does with a change"

    def matches(self, kind: str, group: str) -> bool:
        """True for an object of this kind."""
        return self.kind.lower() == kind.lower() and self.group.lower() == group.lower()

    @property
    def names(self) -> str:
        """Return the kind that the field names, from the words in its path; empty if they name none."""
        words = "".join(self.steps).lower()
        found = [kind for kind in DATA_KINDS if kind.lower() in words]
        return found[0] if len(found) == 1 else ""


@dataclass(frozen=True, slots=True)
class Named:
    """The name of an object at a path, and its place."""

    kind: str
    namespace: str
    name: str
    field: str
    line: int


def parse_ref_path(given: str) -> RefPath:
    """Read ``KIND.GROUP:PATH``, as ``Widget.example.com:spec.tls[].secretName``.

    Args:
        given: The kind, with its group behind a dot (none for the core group), a colon, and the path of the field:
            names with dots between them, ``[]`` behind a list, ``["a.b"]`` for a name that holds a dot.

    Raises:
        ValueError: It is not of this form.
    """
    resource, colon, path = given.partition(":")
    kind, _, group = resource.partition(".")
    steps, at = list[str](), 0
    while (match := _STEP.match(path, at)) and match.end() > at:
        steps.append(match[1] or match[2] or match[3] or "")
        at = match.end()
    if not (colon and kind and steps) or at < len(path):
        raise ValueError(f"{given!r} is not KIND.GROUP:PATH, as in Widget.example.com:spec.tls[].secretName")
    return RefPath(kind, group, tuple(steps))


def _built_in(resource: str, path: str, how: str, why: str) -> RefPath:
    given = parse_ref_path(f"{resource}:{path}")
    return RefPath(given.kind, given.group, given.steps, how, why)


_INGRESS = ("ingress", "the ingress controller reads the Secret again when it changes")
_GATEWAY = ("gateway", "the gateway's controller reads it again when it changes")
_ACCOUNT = ("serviceAccount", "read each time a pod of this account is created or pulls an image")
_CSI = ("csi", "the storage driver reads it at its next call")
_CAS = "caCertificateRefs[]"
_AUTH = 'metadata.annotations["nginx.ingress.kubernetes.io/{}"]'

BUILT_IN = (
    _built_in("Ingress.networking.k8s.io", "spec.tls[].secretName", *_INGRESS),
    _built_in("Ingress.extensions", "spec.tls[].secretName", *_INGRESS),
    _built_in("Ingress.networking.k8s.io", _AUTH.format("auth-secret"), *_INGRESS),
    _built_in("Ingress.networking.k8s.io", _AUTH.format("auth-tls-secret"), *_INGRESS),
    _built_in("Ingress.networking.k8s.io", _AUTH.format("proxy-ssl-secret"), *_INGRESS),
    _built_in("Gateway.gateway.networking.k8s.io", "spec.listeners[].tls.certificateRefs[]", *_GATEWAY),
    _built_in("Gateway.gateway.networking.k8s.io", f"spec.listeners[].tls.frontendValidation.{_CAS}", *_GATEWAY),
    _built_in("BackendTLSPolicy.gateway.networking.k8s.io", f"spec.validation.{_CAS}", *_GATEWAY),
    _built_in("ServiceAccount", "imagePullSecrets[].name", *_ACCOUNT),
    _built_in("ServiceAccount", "secrets[].name", *_ACCOUNT),
    *(
        _built_in("PersistentVolume", f"spec.csi.{each}SecretRef", *_CSI)
        for each in ("nodePublish", "nodeStage", "nodeExpand", "controllerPublish", "controllerExpand")
    ),
)  # fmt: skip

_DEFAULTS = {"gateway": "Secret", "serviceAccount": "Secret", "ingress": "Secret"}


def named_at(manifest: Map, path: RefPath) -> Iterator[Named]:
    """Yield each name at the path."""
    for value, line, field in _values(manifest, path.steps, manifest.line, ""):
        default = path.names or _DEFAULTS.get(path.how, "")
        if isinstance(value, Map) and text(value.get("name")):
            kind = text(value.get("kind")) or default
            yield Named(kind, text(value.get("namespace")), text(value["name"]), field, line)
        elif isinstance(value, str) and value:
            namespace, slash, name = value.rpartition("/")
            yield Named(default, namespace if slash else "", name, field, line)


def _values(node: Any, steps: tuple[str, ...], line: int, field: str) -> Iterator[tuple[Any, int, str]]:
    if not steps:
        yield node, line, field
    elif isinstance(node, Seq):
        rest = steps if steps[0] else steps[1:]
        for index, (item, at) in enumerate(zip(node, node.lines, strict=True)):
            if isinstance(item, Map) or not steps[0]:  # a list in a list takes `[]` twice
                yield from _values(item, rest, at, f"{field}[{index}]")
    elif isinstance(node, Map) and steps[0] in node:
        name = f"[{steps[0]}]" if "." in steps[0] else f".{steps[0]}"
        yield from _values(node[steps[0]], steps[1:], node.line_of(steps[0]), (field + name).lstrip("."))


# What creates ConfigMaps and Secrets


def created_by(manifest: Map, object_id: ObjectId, file: str) -> Iterator[DataObject]:
    """Yield the ConfigMaps and Secrets that a controller creates from this object, as far as the object shows them."""
    kind, group = object_id.kind, group_of(manifest)
    if kind == "SealedSecret":
        yield _sealed_secret(manifest, object_id, file)
    elif kind == "ExternalSecret":
        yield _external_secret(manifest, object_id, file)
    for path, made, namespace in _CREATORS:
        if path.matches(kind, group):
            for named in named_at(manifest, path):
                made_id = ObjectId(made, namespace or named.namespace or object_id.namespace, named.name)
                yield DataObject(
                    made_id, {}, complete=False, created_by=str(object_id), place=place_of(file, named.line)
                )


_CREATORS = tuple(
    (parse_ref_path(path), made, namespace)
    for path, made, namespace in (
        ("Certificate.cert-manager.io:spec.secretName", "Secret", ""),
        ("ClusterExternalSecret.external-secrets.io:spec.externalSecretSpec.target.name", "Secret", ANY_NAMESPACE),
        ("ClusterExternalSecret.external-secrets.io:spec.externalSecretName", "Secret", ANY_NAMESPACE),
        ("SecretProviderClass.secrets-store.csi.x-k8s.io:spec.secretObjects[].secretName", "Secret", ""),
        ("VaultStaticSecret.secrets.hashicorp.com:spec.destination.name", "Secret", ""),
        ("VaultDynamicSecret.secrets.hashicorp.com:spec.destination.name", "Secret", ""),
        ("VaultPKISecret.secrets.hashicorp.com:spec.destination.name", "Secret", ""),
        ("OnePasswordItem.onepassword.com:metadata.name", "Secret", ""),
        ("Bundle.trust.cert-manager.io:metadata.name", "ConfigMap", ANY_NAMESPACE),
    )
)


def _sealed_secret(manifest: Map, object_id: ObjectId, file: str) -> DataObject:
    """The Secret, which has the SealedSecret's own name, whatever the template says (its controller, Unseal)."""
    spec = mapping(manifest.get("spec"))
    template = mapping(spec.get("template"))
    sealed, plain = mapping(spec.get("encryptedData")), mapping(template.get("data"))
    keys = _unknown_values(sealed, file) | _unknown_values(plain, file)
    return DataObject(
        object_id._replace(kind="Secret"),
        keys,
        bool(keys),
        str(object_id),
        text(template.get("type")),
        place=place_of(file, manifest.line),
    )


def _external_secret(manifest: Map, object_id: ObjectId, file: str) -> DataObject:
    spec = mapping(manifest.get("spec"))
    target = mapping(spec.get("target"))
    template = mapping(target.get("template"))
    keys = _unknown_values(mapping(template.get("data")), file)
    for each in map(mapping, items(spec.get("data"))):
        name = text(each.get("secretKey") or each.get("name"))
        keys[name] = DataKey(name, encrypted=True, place=place_of(file, each.line))
    complete = bool(keys) and not spec.get("dataFrom") and not template.get("templateFrom")
    made = ObjectId("Secret", object_id.namespace, text(target.get("name")) or object_id.name)
    return DataObject(
        made, keys, complete, str(object_id), text(template.get("type")), place=place_of(file, manifest.line)
    )


def _unknown_values(section: Map, file: str) -> dict[str, DataKey]:
    return {
        text(name): DataKey(text(name), encrypted=True, place=place_of(file, section.line_of(name))) for name in section
    }
