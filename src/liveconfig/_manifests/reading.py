"""The reader of manifests: ConfigMaps, Secrets, workloads, and the uses of one by the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from liveconfig._manifests.files import Found, Problem, Skipped, Source
from liveconfig._manifests.objects import (
    ANY_NAMESPACE,
    DATA_KINDS,
    Annotation,
    DataObject,
    ObjectId,
    annotations_of,
    data_object,
    fault_of_name,
    group_of,
    id_of,
    mapping,
    place_of,
    text,
)
from liveconfig._manifests.parser import Invalid, Map, parse
from liveconfig._manifests.paths import BUILT_IN, RefPath, created_by, named_at
from liveconfig._manifests.pod_specs import faults_of_types
from liveconfig._manifests.references import Use, uses_of
from liveconfig._manifests.workloads import Workload, workload_of


@dataclass(frozen=True)
class Manifests:
    """The objects of the input, and their uses of ConfigMaps and Secrets.

    Attributes:
        objects: The ConfigMaps and Secrets, and those that other objects create.
        workloads: Every object with a pod template that no other of them controls.
        references: Uses by objects without a pod template, as an Ingress.
        annotations: The annotations of those objects.
        problems: Input that cannot be read.
        skipped: Input that is left out on purpose.
        count: How many Kubernetes objects were read.
        empty_files: How many files hold none.
        named_by: The fields given to `read` that an object of the input has.
    """

    objects: tuple[DataObject, ...] = ()
    workloads: tuple[Workload, ...] = ()
    references: tuple[Use, ...] = ()
    annotations: dict[ObjectId, dict[str, Annotation]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    count: int = 0
    empty_files: int = 0
    named_by: frozenset[RefPath] = frozenset()

    @cached_property
    def _by_id(self) -> dict[ObjectId, list[DataObject]]:
        found = defaultdict(list)
        for each in self.objects:
            found[each.id].append(each)
        return dict(found)

    def over(self, other: Manifests) -> Manifests:
        """Both together; where both have an object of one name, this one's counts."""
        workloads = {each.id for each in self.workloads}
        references = {each.workload for each in self.references}
        return Manifests(
            self.objects + tuple(each for each in other.objects if each.id not in self._by_id),
            self.workloads + tuple(each for each in other.workloads if each.id not in workloads),
            self.references + tuple(each for each in other.references if each.workload not in references),
            other.annotations | self.annotations,
            self.problems + other.problems,
            self.skipped + other.skipped,
            self.count + other.count,
            self.empty_files + other.empty_files,
            self.named_by | other.named_by,
        )

    def known(self, object_id: ObjectId) -> Sequence[DataObject]:
        """The ConfigMaps and Secrets of this name; several where the input repeats itself, none if it has none."""
        everywhere = object_id._replace(namespace=ANY_NAMESPACE)
        return self._by_id.get(object_id) or self._by_id.get(everywhere) or []

    def all_annotations(self) -> Iterator[tuple[ObjectId, Mapping[str, Annotation]]]:
        """Each object with its annotations."""
        yield from ((each.id, each.annotations) for each in self.workloads)
        yield from ((each.id, each.annotations) for each in self.objects)
        yield from self.annotations.items()

    @cached_property
    def uses(self) -> tuple[Use, ...]:
        """Every use of a ConfigMap or Secret."""
        of_workloads = (use for workload in self.workloads for use in uses_of(workload, self.known))
        return (*of_workloads, *(use for reference in self.references for use in self._resolved(reference)))

    def _resolved(self, reference: Use) -> Iterator[Use]:
        """Return the references of a use; without a kind, it refers to each object of that name."""
        assert reference.object is not None
        for kind in [reference.object.kind] if reference.object.kind else DATA_KINDS:
            object_id = reference.object._replace(kind=kind)
            if reference.object.kind or self.known(object_id):
                yield replace(reference, object=object_id)


def read(
    found: Iterable[Found],
    *,
    namespace: str = "",
    values: bool = False,
    ref_paths: Iterable[RefPath] = (),
    listed: Iterable[str] = (),
    progress: Callable[[int], None] = lambda _: None,
) -> Manifests:
    """Read manifests.

    Args:
        found: What `read_paths` yields, or the answers of a cluster as sources without a name. Of a cluster's answers,
            the first with a name counts.
        namespace: That of objects that name none.
        values: Keep the values of ConfigMaps and Secrets; without it none is in the result.
        ref_paths: More fields that name ConfigMaps and Secrets.
        listed: Kinds of which a cluster was asked for all: what one of those controls is left out.
        progress: Called with the number of objects read so far.
    """
    collector = _Collector(namespace, (*BUILT_IN, *ref_paths), values=values, progress=progress)
    for each in found:
        collector.add(each)
    return collector.manifests(frozenset(listed))


class _Collector:
    def __init__(
        self, namespace: str, ref_paths: tuple[RefPath, ...], *, values: bool, progress: Callable[[int], None]
    ) -> None:
        self._namespace = namespace
        self._ref_paths = ref_paths
        self._values = values
        self._progress = progress
        self._met: set[ObjectId] = set()
        self._objects: list[DataObject] = []
        self._workloads: list[Workload] = []
        self._references: list[Use] = []
        self._annotations: dict[ObjectId, dict[str, Annotation]] = {}
        self._problems: list[Problem] = []
        self._skipped: list[Skipped] = []
        self._count = 0
        self._empty_files = 0
        self._named_by: set[RefPath] = set()

    def manifests(self, listed: frozenset[str]) -> Manifests:
        return Manifests(
            tuple(self._objects),
            tuple(_not_controlled(self._workloads, listed)),
            tuple(self._references),
            self._annotations,
            tuple(self._problems),
            tuple(self._skipped),
            self._count,
            self._empty_files,
            frozenset(self._named_by),
        )

    def add(self, found: Found) -> None:
        if isinstance(found, Problem):
            self._problems.append(found)
        elif isinstance(found, Skipped):
            self._skipped.append(found)
        else:
            before = self._count
            if found.named or ("kind" in found.text and "apiVersion" in found.text):
                self._parse(found)
            self._empty_files += before == self._count

    def _parse(self, source: Source) -> None:
        if not source.name:
            self._parse_answer(source.text)
            return
        try:
            for manifest in parse(source.text, json_only=source.name.endswith(".json")):
                self._document(manifest, source.name)
        except Invalid as fault:
            self._problems.append(Problem(source.name, fault.line, fault.reason + _advice(source.text)))

    def _parse_answer(self, text: str) -> None:
        """Parse an answer of a cluster, which consists of objects with names, and of nothing else."""
        are_objects = []
        try:
            for manifest in parse(text, json_only=True):
                self._document(manifest, "")
                are_objects.append(_is_object_of_a_cluster(mapping(manifest)))
        except Invalid:
            are_objects.append(False)
        if _NO_OBJECTS not in self._problems and not (are_objects and all(are_objects)):
            self._problems.append(_NO_OBJECTS)

    def _document(self, document: object, file: str) -> None:
        manifest = mapping(document)
        object_id = id_of(manifest, self._namespace)
        if object_id is None or _is_list(manifest, object_id.kind) or (not file and object_id in self._met):
            return
        if "{{" in object_id.name:
            raise Invalid(manifest.line, "the name of this object is not rendered")
        self._met.add(object_id)
        self._count += 1
        self._progress(self._count)
        if (fault := fault_of_name(manifest)) is not None:
            if file and self._matters(manifest, object_id, file):
                self._problems.append(Problem(file, *fault))
        elif _is_data(manifest, object_id):
            self._objects.append(self._data(manifest, object_id, file))
        else:
            self._other(manifest, object_id, file)

    def _matters(self, manifest: Map, object_id: ObjectId, file: str) -> bool:
        """Whether something about an object would be in the answer: other kinds need no name, as a kubeconfig."""
        if _is_data(manifest, object_id) or workload_of(manifest, object_id, file) is not None:
            return True
        names = any(any(named_at(manifest, path)) for path in self._paths_of(manifest, object_id))
        return names or any(created_by(manifest, object_id, file))

    def _paths_of(self, manifest: Map, object_id: ObjectId) -> list[RefPath]:
        group = group_of(manifest)
        return [path for path in self._ref_paths if path.matches(object_id.kind, group)]

    def _data(self, manifest: Map, object_id: ObjectId, file: str) -> DataObject:
        parts = {f"`{name}` of {object_id}": manifest.get(name) for name in ("data", "stringData", "binaryData")}
        for where, part in {str(object_id): manifest, **parts}.items():
            for key, line in getattr(part, "twice", ()):
                self._problems.append(Problem(file, line, f"the key {text(key)!r} stands twice in {where}"))
        return data_object(manifest, object_id, file, values=self._values)

    def _other(self, manifest: Map, object_id: ObjectId, file: str) -> None:
        if (workload := workload_of(manifest, object_id, file)) is not None:
            self._workloads.append(workload)
        if file:  # a cluster has no such object
            self._problems += (Problem(file, *fault) for fault in faults_of_types(manifest, object_id))
        self._objects += created_by(manifest, object_id, file)
        for path in self._paths_of(manifest, object_id):
            self._annotations[object_id] = annotations_of(manifest.get("metadata"), file)
            references = list(_references(manifest, object_id, file, path))
            self._references += references
            self._named_by |= {path} if references else set()


def _is_data(manifest: Map, object_id: ObjectId) -> bool:
    return object_id.kind in DATA_KINDS and manifest.get("apiVersion") == "v1"


_NO_OBJECTS = Problem("kubectl", None, "its answer is not the JSON of Kubernetes objects")


def _is_object_of_a_cluster(manifest: Map) -> bool:
    object_id = id_of(manifest, "")
    if object_id is not None and _is_list(manifest, object_id.kind):
        return manifest.get("items") == []  # its items, which are mappings, are documents of their own
    return object_id is not None and bool(object_id.name)


def _is_list(manifest: Map, kind: str) -> bool:
    """Whether it is what is left of a list; its items are documents of their own."""
    return kind == "List" or (kind.endswith("List") and "items" in manifest)


def _references(manifest: Map, object_id: ObjectId, file: str, path: RefPath) -> Iterator[Use]:
    for named in named_at(manifest, path):
        to = ObjectId(named.kind, named.namespace or object_id.namespace, named.name)
        place = place_of(file, named.line)
        yield Use(to, object_id, how=path.how, why=path.why, field=named.field, place=place, named_at=place)


def _not_controlled(workloads: list[Workload], listed: frozenset[str]) -> Iterator[Workload]:
    """Leave out pods of ReplicaSets, ReplicaSets of Deployments, Jobs of CronJobs, where those are known."""
    known = {workload.id for workload in workloads}
    for workload in workloads:
        if not _has_known_owner(workload, known) and (workload.owner or ("",))[0] not in listed:
            yield workload


_MAKERS = {
    "ReplicaSet": ("Deployment", "Rollout"),
    "ReplicationController": ("DeploymentConfig",),
    "Job": ("CronJob",),
}
"""What makes the owners of pods, and gives them its name with a part behind it: ``web-5d8f``."""


def _has_known_owner(workload: Workload, known: Collection[ObjectId]) -> bool:
    kind, name = workload.owner or ("", "")
    owners = [(kind, name)]
    if workload.id.kind == "Pod":
        owners += [(maker, name.rpartition("-")[0]) for maker in _MAKERS.get(kind, ())]
    return any(ObjectId(each, workload.id.namespace, its_name) in known for each, its_name in owners)


def _advice(text: str) -> str:
    return "; it looks like a Helm template: pipe what `helm template` prints, not the template" * ("{{" in text)
