"""Kubernetes objects in manifests: used by the command line and the test kit.

- `annotations`: Annotations about ConfigMaps and Secrets: the workloads that use them, and tools that restart
  workloads.
- `files`: Reading of manifests from files, directories and standard input, and nothing outside the given paths.
- `kinds`: The kinds of Kubernetes objects that the command line names, and kubectl's other names for them.
- `kubelet`: The kubelet's rules: the files and variables that a container gets from ConfigMaps and Secrets.
- `kustomize`: The hash that kustomize appends to the name of a generated ConfigMap or Secret.
- `manifest`: The payload that the kubelet writes for a ConfigMap or Secret manifest.
- `objects`: The ConfigMaps and Secrets of the input: names, keys, and known values.
- `parser`: A parser of YAML and JSON documents that keeps the line of every key and item.
- `paths`: Fields that name a ConfigMap or Secret in objects without a pod template, and objects that create one.
- `payload`: The content of a ConfigMap, a Secret and a volume: valid keys and their bytes.
- `pod_specs`: Fields of a wrong type in the pod templates of workloads, which kubectl refuses and a reader would miss.
- `reading`: The reader of manifests: ConfigMaps, Secrets, workloads, and the uses of one by the other.
- `references`: The uses of ConfigMaps and Secrets by a workload, each live or frozen.
- `rules`: The rules of ``liveconfig audit``, which make findings from manifests.
- `scalars`: Values without quotes in YAML, with the types that kubectl gives them.
- `workloads`: Pod templates: the mounts and variables of each container.
"""

from liveconfig._manifests.annotations import USED_BY, used_by
from liveconfig._manifests.files import STANDARD_INPUT, Problem, Source, read_paths
from liveconfig._manifests.kinds import is_kind, kind_of
from liveconfig._manifests.kubelet import (
    FileOrigin,
    VariableValue,
    files_of,
    keys_of_variables,
    missing_items,
    part_of,
    path_below,
    sub_path_of,
    variables_of,
)
from liveconfig._manifests.manifest import Manifest, payload_of, payloads_of
from liveconfig._manifests.objects import DATA_KINDS, DataKey, DataObject, ObjectId, Place
from liveconfig._manifests.paths import RefPath, parse_ref_path
from liveconfig._manifests.payload import Payload, checked, folders_that_are_keys, without_frames
from liveconfig._manifests.reading import Manifests, read
from liveconfig._manifests.references import MOUNTS, NO_NAME, WHY_FROZEN, Use, cause_in_objects
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
from liveconfig._manifests.workloads import Container, Mount, VariableSource, VolumeSource, Workload

__all__ = [
    "DATA_KINDS",
    "LEVELS",
    "MOUNTS",
    "NO_NAME",
    "RULES",
    "STANDARD_INPUT",
    "USED_BY",
    "WHY_FROZEN",
    "Container",
    "DataKey",
    "DataObject",
    "FileOrigin",
    "Finding",
    "Manifest",
    "Manifests",
    "Mount",
    "ObjectId",
    "Payload",
    "Place",
    "Problem",
    "RefPath",
    "Rule",
    "Source",
    "Use",
    "VariableSource",
    "VariableValue",
    "VolumeSource",
    "Workload",
    "audit",
    "cause_in_objects",
    "checked",
    "files_of",
    "folders_that_are_keys",
    "is_kind",
    "keys_of_variables",
    "kind_of",
    "missing_items",
    "others_than",
    "parse_ref_path",
    "part_of",
    "path_below",
    "payload_of",
    "payloads_of",
    "read",
    "read_paths",
    "sub_path_of",
    "unknown_ignores",
    "used_by",
    "users_of",
    "variables_of",
    "without_frames",
    "without_ignored",
]
