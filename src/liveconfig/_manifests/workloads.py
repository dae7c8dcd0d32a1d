"""Pod templates: the mounts and variables of each container.

A pod template is a mapping ``spec`` with a list of ``containers``, anywhere: in a Deployment, a CronJob, a Pod, or any
custom resource.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from liveconfig._manifests.objects import (
    Annotation,
    ObjectId,
    Place,
    annotations_of,
    group_of,
    items,
    mapping,
    place_of,
    text,
)
from liveconfig._manifests.parser import Map, Seq
from liveconfig._manifests.payload import problem_of_type

ContainerType: TypeAlias = Literal["container", "init", "sidecar", "ephemeral"]

_OF_EACH_POD = "kube-api-access-"


@dataclass(frozen=True, slots=True)
class KeyRef:
    """One key of a ConfigMap or Secret.

    Attributes:
        object: The ConfigMap or Secret.
        key: The key.
        optional: Nothing is wrong where object or key is missing.
        field: The path in the manifest.
        place: Where the object is named.
        key_place: Where the key is named.
    """

    object: ObjectId
    key: str
    optional: bool
    field: str
    place: Place | None
    key_place: Place | None


@dataclass(frozen=True, slots=True)
class Item:
    """An entry of ``items``: a key, and the path of its file in the volume."""

    key: str
    path: str
    place: Place | None


@dataclass(frozen=True, slots=True)
class VolumeSource:
    """A ConfigMap or Secret as a source of a volume.

    Attributes:
        object: The ConfigMap or Secret.
        items: The keys that become files; None: each key becomes a file of its name.
        optional: The volume is set up without it where it is missing.
        type: ``"configMap"``, ``"secret"``, or the field of a driver that reads a Secret, such as ``"csi"``.
        field: The path in the manifest.
        place: Where the object is named.
    """

    object: ObjectId
    items: tuple[Item, ...] | None
    optional: bool
    type: str
    field: str
    place: Place | None


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of a pod.

    Attributes:
        name: Its name.
        type: ``"configMap"``, ``"secret"``, ``"projected"``, ``"emptyDir"``, ``"csi"`` and so on.
        sources: The ConfigMaps and Secrets that it is made of, in their order.
        beside: The paths of the files that come from elsewhere, as a token; None where they are not known.
        place: Where it begins.
    """

    name: str
    type: str
    sources: tuple[VolumeSource, ...]
    beside: frozenset[str] | None
    place: Place | None

    @property
    def holds_files(self) -> bool:
        """True if the kubelet writes the keys of its sources as files."""
        return self.type in ("configMap", "secret", "projected")


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume, mounted into a container.

    Attributes:
        path: The path in the container.
        volume: The volume; one without sources if the pod has none of that name.
        sub_path: The part of the volume that is mounted, empty for the whole.
        sub_path_expr: The same with variables in it.
        field: The path in the manifest.
        place: Its place.
    """

    path: str
    volume: Volume
    sub_path: str
    sub_path_expr: str
    field: str
    place: Place | None

    @property
    def whole(self) -> bool:
        """True if the volume itself is mounted, not a part of it."""
        return not (self.sub_path or self.sub_path_expr)


@dataclass(frozen=True, slots=True)
class FileRef:
    """A line of an env file on a volume (``fileKeyRef``)."""

    volume: Volume
    path: str
    key: str
    optional: bool


@dataclass(frozen=True, slots=True)
class Variable:
    """One entry of ``env``.

    Attributes:
        name: The variable.
        value: The literal value; None where it comes from elsewhere, or is no text.
        key_ref: The key of a ConfigMap or Secret that it is set from.
        file_ref: The file that it is set from.
        field: The path in the manifest.
        place: Its place.
        problem: Why an API server refuses its value; empty where it does not.
    """

    name: str
    value: str | None = field(repr=False)
    key_ref: KeyRef | None
    file_ref: FileRef | None
    field: str
    place: Place | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class VariableSource:
    """One entry of ``envFrom``: each key becomes a variable, with the prefix before its name."""

    object: ObjectId
    prefix: str
    optional: bool
    field: str
    place: Place | None


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a pod template.

    Attributes:
        name: Its name; empty if it has none, as a Knative Service may have it.
        type: ``"init"``: runs once, before the others; ``"sidecar"``: an init container that keeps running.
        env: Its variables, in their order.
        env_from: Objects whose keys become variables; a later one wins, and `env` wins over all.
        mounts: Its volume mounts.
    """

    name: str
    type: ContainerType
    env: tuple[Variable, ...]
    env_from: tuple[VariableSource, ...]
    mounts: tuple[Mount, ...]

    @property
    def file_mounts(self) -> Iterator[Mount]:
        """The mounts of ConfigMaps and Secrets as files, without the volume that Kubernetes adds to each pod."""
        for mount in self.mounts:
            if mount.volume.holds_files and mount.volume.sources and not mount.volume.name.startswith(_OF_EACH_POD):
                yield mount

    @property
    def objects(self) -> Iterator[ObjectId]:
        """The ConfigMaps and Secrets whose keys are its files and variables."""
        yield from (source.object for mount in self.file_mounts for source in mount.volume.sources)
        yield from (source.object for source in self.env_from)
        yield from (variable.key_ref.object for variable in self.env if variable.key_ref is not None)


@dataclass(frozen=True, slots=True)
class PodTemplate:
    """A pod template.

    Attributes:
        field: The path of the pod's ``spec`` in the manifest.
        containers: All containers, init and ephemeral ones included.
        volumes: All volumes.
        pull_secrets: The Secrets that log in to the image registry.
    """

    field: str
    containers: tuple[Container, ...]
    volumes: tuple[Volume, ...]
    pull_secrets: tuple[VolumeSource, ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """An object with pod templates.

    Attributes:
        id: Kind, namespace and name.
        group: The API group, as ``apps``.
        templates: Its pod templates, mostly one.
        annotations: Those of the object and of its templates that `liveconfig audit` looks at.
        template_annotations: The names of those in a template.
        owner: What controls it, as kind and name; None for one that a person made.
        place: Where it begins.
    """

    id: ObjectId
    group: str
    templates: tuple[PodTemplate, ...]
    annotations: Mapping[str, Annotation]
    template_annotations: frozenset[str]
    owner: tuple[str, str] | None
    place: Place | None

    @property
    def containers(self) -> Iterator[Container]:
        """All containers of all templates."""
        return (container for template in self.templates for container in template.containers)


def workload_of(manifest: Map, object_id: ObjectId, file: str) -> Workload | None:
    """Read an object's pod templates; None if it has none."""
    found = list(_pod_specs(manifest))
    if not found:
        return None
    annotations = annotations_of(manifest.get("metadata"), file)
    inner: dict[str, Annotation] = {}
    for _, _, metadata in found:
        inner |= annotations_of(metadata, file)
    reader = _Reader(file, object_id.namespace, _claims(manifest) if object_id.kind == "StatefulSet" else {})
    return Workload(
        object_id,
        group_of(manifest),
        tuple(reader.template(spec, path) for spec, path, _ in found),
        annotations | inner,
        frozenset() if object_id.kind == "Pod" else frozenset(inner),
        _owner(manifest),
        place_of(file, manifest.line),
    )


def _owner(manifest: Map) -> tuple[str, str] | None:
    for owner in map(mapping, items(mapping(manifest.get("metadata")).get("ownerReferences"))):
        if owner.get("controller") is True:
            return text(owner.get("kind")), text(owner.get("name"))
    return None


def _claims(stateful_set: Map) -> dict[str, Map]:
    """The ``volumeClaimTemplates`` by name. Each replaces the volume of that name (kubernetes, updateStorage)."""
    claims = _mappings(mapping(stateful_set.get("spec")).get("volumeClaimTemplates"))
    return {text(mapping(claim.get("metadata")).get("name")): claim for claim in claims}


def _pod_specs(manifest: Map) -> Iterator[tuple[Map, str, Any]]:
    """Yield each pod's ``spec`` with its path and the metadata beside it; aliases are met once."""
    waiting: list[tuple[Any, str]] = [(manifest, "")]
    met: set[int] = set()
    while waiting:
        node, path = waiting.pop()
        if id(node) in met or not isinstance(node, (Map, Seq)):
            continue
        met.add(id(node))
        if isinstance(node, Seq):
            waiting += [(item, f"{path}[{index}]") for index, item in enumerate(node)]
            continue
        spec = mapping(node.get("spec"))
        if _is_pod_spec(spec):
            met.add(id(spec))
            yield spec, f"{path}.spec".lstrip("."), node.get("metadata")
        beside = [(value, f"{path}.{name}") for name, value in node.items() if name not in ("metadata", "status")]
        waiting += reversed(beside)


def _is_pod_spec(spec: Map) -> bool:
    containers = spec.get("containers")
    return isinstance(containers, Seq) and any(
        isinstance(each, Map) and {"name", "image"} & each.keys() for each in containers
    )


_CONTAINERS: tuple[tuple[str, ContainerType], ...] = (
    ("initContainers", "init"),
    ("containers", "container"),
    ("ephemeralContainers", "ephemeral"),
)
_NO_FILES = frozenset({"name"})


class _Reader:
    """The reader of the pod templates of a workload, with its file, its namespace and the claims beside its volumes."""

    def __init__(self, file: str, namespace: str, claims: Mapping[str, Map]) -> None:
        self._file = file
        self._namespace = namespace
        self._claims = claims

    def template(self, spec: Map, path: str) -> PodTemplate:
        volumes = {volume.name: volume for volume in self._volumes(spec, path)}
        return PodTemplate(
            path,
            tuple(
                self._container(container, kind, f"{path}.{section}[{text(container.get('name'))}]", volumes)
                for section, kind in _CONTAINERS
                for container in _mappings(spec.get(section))
            ),
            tuple(volumes.values()),
            tuple(
                self._source(each, "name", "imagePullSecrets", f"{path}.imagePullSecrets")
                for each in _mappings(spec.get("imagePullSecrets"))
                if text(each.get("name"))
            ),
        )

    def _id(self, kind: str, name: Any) -> ObjectId:
        return ObjectId(kind, self._namespace, text(name))

    def _place(self, node: Map, *keys: str) -> Place | None:
        """Return the place of the first of these keys that exists."""
        key = next((key for key in keys if key in node), None)
        return place_of(self._file, node.line_of(key))

    def _volumes(self, spec: Map, path: str) -> Iterator[Volume]:
        yield from self._volumes_of_the_pod(spec, path)
        for name, claim in self._claims.items():
            yield Volume(name, "persistentVolumeClaim", (), None, place_of(self._file, claim.line))

    def _volumes_of_the_pod(self, spec: Map, path: str) -> Iterator[Volume]:
        for volume in _mappings(spec.get("volumes")):
            name = text(volume.get("name"))
            kind = next((key for key in volume if isinstance(key, str) and key not in _NO_FILES), "emptyDir")
            sources = tuple(self._sources(mapping(volume.get(kind)), kind, f"{path}.volumes[{name}].{kind}"))
            beside = _files_beside(mapping(volume.get(kind)), kind)
            yield Volume(name, kind, sources, beside, place_of(self._file, volume.line))

    def _sources(self, volume: Map, kind: str, path: str) -> Iterator[VolumeSource]:
        if kind == "projected":
            for source in _mappings(volume.get("sources")):
                for inner in source.keys() & {"configMap", "secret"}:
                    name = text(mapping(source[inner]).get("name"))
                    yield self._source(mapping(source[inner]), "name", inner, f"{path}.{inner}[{name}]")
        elif kind == "configMap":
            yield self._source(volume, "name", kind, path)
        elif text(volume.get("secretName")):
            yield self._source(volume, "secretName", kind, path)
        else:
            for key in ("secretRef", "nodePublishSecretRef"):
                if text(mapping(volume.get(key)).get("name")):
                    yield self._source(volume[key], "name", kind, f"{path}.{key}")

    def _source(self, node: Map, key: str, kind: str, path: str) -> VolumeSource:
        listed = node.get("items")
        return VolumeSource(
            self._id("ConfigMap" if kind == "configMap" else "Secret", node.get(key)),
            tuple(map(self._item, _mappings(listed))) if listed else None,
            node.get("optional") is True,
            kind,
            path,
            self._place(node, key),
        )

    def _item(self, item: Map) -> Item:
        return Item(text(item.get("key")), text(item.get("path")), self._place(item, "key"))

    def _container(self, node: Map, kind: ContainerType, path: str, volumes: Mapping[str, Volume]) -> Container:
        if kind == "init" and node.get("restartPolicy") == "Always":
            kind = "sidecar"
        return Container(
            text(node.get("name")),
            kind,
            tuple(self._variable(each, path, volumes) for each in _mappings(node.get("env"))),
            tuple(self._variable_sources(node, path)),
            tuple(self._mount(each, path, volumes) for each in _mappings(node.get("volumeMounts"))),
        )

    def _variable(self, node: Map, path: str, volumes: Mapping[str, Volume]) -> Variable:
        name, origin = text(node.get("name")), mapping(node.get("valueFrom"))
        path = f"{path}.env[{name}]"
        given = node.get("value")
        problem = "" if origin or given is None else problem_of_type(given)
        return Variable(
            name,
            None if origin or problem else text(given),
            self._key_ref(origin, path),
            self._file_ref(origin, volumes),
            path,
            self._place(node, "name"),
            problem,
        )

    def _key_ref(self, origin: Map, path: str) -> KeyRef | None:
        for key, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            if key in origin:
                ref = mapping(origin[key])
                places = self._place(ref, "name"), self._place(ref, "key")
                named, optional = self._id(kind, ref.get("name")), ref.get("optional") is True
                return KeyRef(named, text(ref.get("key")), optional, path, *places)
        return None

    def _file_ref(self, origin: Map, volumes: Mapping[str, Volume]) -> FileRef | None:
        if "fileKeyRef" not in origin:
            return None
        ref = mapping(origin["fileKeyRef"])
        volume = self._volume(text(ref.get("volumeName")), volumes)
        return FileRef(volume, text(ref.get("path")), text(ref.get("key")), ref.get("optional") is True)

    def _variable_sources(self, node: Map, path: str) -> Iterator[VariableSource]:
        for entry in _mappings(node.get("envFrom")):
            for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                if key in entry:
                    ref = mapping(entry[key])
                    named = self._id(kind, ref.get("name"))
                    yield VariableSource(
                        named,
                        text(entry.get("prefix")),
                        ref.get("optional") is True,
                        f"{path}.envFrom[{named}]",
                        self._place(ref, "name"),
                    )

    def _mount(self, node: Map, path: str, volumes: Mapping[str, Volume]) -> Mount:
        where = text(node.get("mountPath"))
        return Mount(
            where,
            self._volume(text(node.get("name")), volumes),
            text(node.get("subPath")),
            text(node.get("subPathExpr")),
            f"{path}.volumeMounts[{where}]",
            self._place(node, "subPath", "subPathExpr", "name"),
        )

    @staticmethod
    def _volume(name: str, volumes: Mapping[str, Volume]) -> Volume:
        return volumes.get(name) or Volume(name, "", (), None, None)


def _files_beside(volume: Map, kind: str) -> frozenset[str] | None:
    """The files that the kubelet makes of a token, of a pod's fields and of certificates; None for anything else."""
    if kind == "projected":
        others = [each for source in _mappings(volume.get("sources")) for each in source.items()]
    else:
        others = [(kind, volume)]
    files: set[str] = set()
    for source, content in others:
        if source in ("configMap", "secret"):
            continue
        if source not in _PATHS_OF:
            return None
        entries = _mappings(mapping(content).get("items")) if source == "downwardAPI" else [mapping(content)]
        paths = (text(entry.get(name)) for entry in entries for name in _PATHS_OF[source])
        files.update(posixpath.normpath(path) for path in paths if path)
    return frozenset(files)


_PATHS_OF = {
    "serviceAccountToken": ("path",),
    "downwardAPI": ("path",),
    "clusterTrustBundle": ("path",),
    "podCertificate": ("credentialBundlePath", "keyPath", "certificateChainPath"),
}


def _mappings(value: Any) -> list[Map]:
    return [each for each in items(value) if isinstance(each, Map)]
