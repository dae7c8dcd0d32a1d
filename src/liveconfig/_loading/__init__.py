"""Loading of a validated settings instance from bytes by key: the only package that uses pydantic.

- `arguments`: The arguments of one constructor call, by purpose.
- `cached`: `cached`: a property that is computed at its first use, without a lock.
- `class_checks`: Checks of a settings class: unknown keys of the configuration, wrong values, fields that cannot work.
- `comparison`: The differences between two readings of the same volumes: generations, fields and keys.
- `configuration`: The configuration of a class: its keyword arguments, and the merged lists of its bases.
- `dataclass_defaults`: Defaults that factories of dataclasses made: they stay as long as nothing is given for them.
- `decoder`: The decoder of one key: from its bytes to the input for pydantic, as pydantic-settings decodes variables.
- `document_limits`: Limits that hold for a document of any format: size, depth, duplicate names.
- `documents`: The parsers of documents, by format.
- `entries`: The entries of mappings: what changed in the data, and what settings have in place of a removed one.
- `fault`: Why a volume, or a whole candidate, is not applied.
- `feed`: The values of one revision of a volume, by field.
- `field_validation`: The validation of each field by itself, for settings of which some values are unknown.
- `fields`: The places of values (fields, items of lists, entries of mappings) and the names that reach them.
- `input_types`: The types of pydantic that get the input of a field as it is, before any validator of the user.
- `inputs`: The names under which pydantic looks for the value of a field, and the rules of a class for names.
- `key`: `Key`: the metadata of one field, and which fields of a class carry it.
- `loader`: The loader: makes a validated instance of revisions, environment and other sources.
- `merging`: Merging and copying of the data for pydantic: nested dictionaries and lists.
- `messages`: The messages for pydantic's errors, by type; none contains a value.
- `names`: The names of keys, and the fields that they feed.
- `origins`: The origins of values, computed on request.
- `placeholder`: Placeholders for settings without a valid configuration, while a command imports their application.
- `problems`: The problems of a validation: field, place, and a message without any value.
- `properties`: Java .properties (docs.oracle.com, java.util.Properties.load) -> a mapping of texts.
- `pydantic_internals`: Build, swap and copy instances: the only module that uses internals of pydantic.
- `redaction`: The safe part of an error of pydantic-settings.
- `removed_keys`: Removed keys: the values that they fed, and whether the removal is allowed.
- `restart_fields`: Fields with ``Key(restart=True)``: they keep the values of the start until the process starts again.
- `secret_repr`: Hides the values of secret volumes in nested objects that are printed by themselves.
- `source_classes`: The sources of one class, as pydantic-settings makes them, in the order of the class.
- `sources`: All sources except the volumes, read once: arguments, environment, `.env` files, custom sources.
- `startup_error`: The error of a failed first load: which fields, and where each was looked for.
- `suggestions`: The known name that is nearest to one that is not known.
- `types`: The types of fields, and how a key feeds them: text, bytes, JSON, or keys of nested fields.
- `unused`: Names on a volume that feed no field: whether they may be shown, and the nearest field.
- `volume_selection`: The volumes of one settings object: those of the class, of `_volumes=`, and of
  `LIVECONFIG_VOLUMES`.
- `yaml`: A strict YAML parser, based on the safe loader of PyYAML.
"""

from liveconfig._loading.arguments import Arguments, split_arguments
from liveconfig._loading.class_checks import RESERVED, misuse
from liveconfig._loading.comparison import named
from liveconfig._loading.configuration import (
    check_complete,
    documents_of,
    dropped_volumes,
    merge_bases,
    take_class_arguments,
    unknown_class_argument,
)
from liveconfig._loading.decoder import DecodeError
from liveconfig._loading.documents import FORMATS, as_code, as_documents
from liveconfig._loading.fault import Fault, StartupFailure
from liveconfig._loading.feed import Feed
from liveconfig._loading.fields import Node, Path, value_in
from liveconfig._loading.input_types import InputTypes, Type
from liveconfig._loading.inputs import Rules
from liveconfig._loading.key import Format, Key
from liveconfig._loading.loader import Feeds, Invalid, Loaded, Loader, Overrides
from liveconfig._loading.names import Plan, getter
from liveconfig._loading.origins import Frozens, Origins
from liveconfig._loading.placeholder import FAILURE, failure_of, importing_application, is_importing, placeholder_loader
from liveconfig._loading.problems import Problem, missing_documents
from liveconfig._loading.pydantic_internals import (
    MASKED,
    accepts_any_argument,
    assign,
    copy_of,
    deep_copy_of,
    empty,
    equal,
    extra_of,
    field_hash,
    has_place,
    is_being_built,
    is_branch,
    leaves,
    mask,
    masked,
    same,
    slot,
    swap,
    unlike,
    with_leaf_of,
)
from liveconfig._loading.redaction import settings_error
from liveconfig._loading.removed_keys import Removal, Removals
from liveconfig._loading.sources import Sources, is_mounted
from liveconfig._loading.startup_error import explain
from liveconfig._loading.suggestions import did_you_mean, nearest
from liveconfig._loading.types import ABSENT, Kind, is_secret, kind_of, members, nested_fields
from liveconfig._loading.unused import UnusedNames, fields_by_name
from liveconfig._loading.volume_selection import (
    VOLUMES_VARIABLE,
    ChosenVolumes,
    VolumePath,
    choose_volumes,
    declared_paths,
    paths_in_variable,
    volume_error,
)

__all__ = [
    "ABSENT",
    "FAILURE",
    "FORMATS",
    "MASKED",
    "RESERVED",
    "VOLUMES_VARIABLE",
    "Arguments",
    "ChosenVolumes",
    "DecodeError",
    "Fault",
    "Feed",
    "Feeds",
    "Format",
    "Frozens",
    "InputTypes",
    "Invalid",
    "Key",
    "Kind",
    "Loaded",
    "Loader",
    "Node",
    "Origins",
    "Overrides",
    "Path",
    "Plan",
    "Problem",
    "Removal",
    "Removals",
    "Rules",
    "Sources",
    "StartupFailure",
    "Type",
    "UnusedNames",
    "VolumePath",
    "accepts_any_argument",
    "as_code",
    "as_documents",
    "assign",
    "check_complete",
    "choose_volumes",
    "copy_of",
    "declared_paths",
    "deep_copy_of",
    "did_you_mean",
    "documents_of",
    "dropped_volumes",
    "empty",
    "equal",
    "explain",
    "extra_of",
    "failure_of",
    "field_hash",
    "fields_by_name",
    "getter",
    "has_place",
    "importing_application",
    "is_being_built",
    "is_branch",
    "is_importing",
    "is_mounted",
    "is_secret",
    "kind_of",
    "leaves",
    "mask",
    "masked",
    "members",
    "merge_bases",
    "missing_documents",
    "misuse",
    "named",
    "nearest",
    "nested_fields",
    "paths_in_variable",
    "placeholder_loader",
    "same",
    "settings_error",
    "slot",
    "split_arguments",
    "swap",
    "take_class_arguments",
    "unknown_class_argument",
    "unlike",
    "value_in",
    "volume_error",
    "with_leaf_of",
]
