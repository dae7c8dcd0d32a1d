"""Kubernetes objects in manifests: used by the command line and the test kit.

- `annotations`: Annotations about ConfigMaps and Secrets: which workloads use them, and what restarts workloads.
- `files`: Paths -> texts: files, directories and standard input, and nothing outside the given paths.
- `kustomize`: The hash that kustomize appends to the name of a generated ConfigMap or Secret.
- `manifest`: A ConfigMap or Secret manifest -> the payload that the kubelet writes.
- `objects`: The ConfigMaps and Secrets of the input: names, keys, and what is known of their values.
- `parser`: Text -> its documents, one after the other, with the line of every key and item.
- `paths`: Fields that name a ConfigMap or Secret in objects without a pod template, and objects that create one.
- `payload`: The content of a ConfigMap, a Secret and a volume: valid keys and their bytes.
- `reading`: Texts -> `Manifests`: ConfigMaps, Secrets, workloads, and every use of one by the other.
- `references`: Workload -> its uses of ConfigMaps and Secrets, each live or frozen.
- `rules`: `Manifests` -> findings: the rules of ``liveconfig audit``.
- `workloads`: Pod templates: the mounts and variables of each container.
"""

from liveconfig._manifests.annotations import USED_BY, used_by
from liveconfig._manifests.files import STANDARD_INPUT, Problem, Skipped, Source, read_paths
from liveconfig._manifests.manifest import Manifest, payload_of, payloads_of
from liveconfig._manifests.objects import DataKey, DataObject, ObjectId, Place
from liveconfig._manifests.paths import RefPath, parse_ref_path
from liveconfig._manifests.payload import Payload, checked, without_frames
from liveconfig._manifests.reading import Manifests, read
from liveconfig._manifests.references import Use
from liveconfig._manifests.rules import (
    LEVELS,
    RULES,
    Finding,
    Rule,
    audit,
    others_than,
    unknown_ignores,
    users_of,
    without_ignored,
)
from liveconfig._manifests.workloads import Container, KeyRef, Mount, Variable, VariableSource, VolumeSource, Workload

__all__ = [
    "LEVELS",
    "RULES",
    "STANDARD_INPUT",
    "USED_BY",
    "Container",
    "DataKey",
    "DataObject",
    "Finding",
    "KeyRef",
    "Manifest",
    "Manifests",
    "Mount",
    "ObjectId",
    "Payload",
    "Place",
    "Problem",
    "RefPath",
    "Rule",
    "Skipped",
    "Source",
    "Use",
    "Variable",
    "VariableSource",
    "VolumeSource",
    "Workload",
    "audit",
    "checked",
    "others_than",
    "parse_ref_path",
    "payload_of",
    "payloads_of",
    "read",
    "read_paths",
    "unknown_ignores",
    "used_by",
    "users_of",
    "without_frames",
    "without_ignored",
]
