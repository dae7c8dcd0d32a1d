"""Bytes by key -> a validated settings instance: the only package that knows pydantic and pydantic-settings.

- `comparison`: The differences between two readings of the same volumes: generations, fields and keys.
- `decoder`: The bytes of one key -> the input for pydantic, by the rules of pydantic-settings for variables.
- `documents`: The bytes of a document -> a mapping, by the ending of its name.
- `fault`: Why a volume, or a whole candidate, is not applied.
- `feed`: One revision of one volume -> the values that it feeds, by field.
- `fields`: The fields of one model: the names that each answers to, and the name that pydantic takes.
- `key`: `Key`: the metadata of one field, and which fields of a class carry it.
- `limits`: Limits that hold for a document of any format: size, depth, duplicate names.
- `loader`: Revisions, environment and other sources -> a validated instance.
- `names`: Which key feeds which field, and the nearest name.
- `origins`: Where each value came from, computed on request.
- `properties`: Java .properties (docs.oracle.com, java.util.Properties.load) -> a mapping of texts.
- `pydantic_internals`: Build, swap and copy instances: the only module that uses internals of pydantic.
- `redaction`: Redacted messages: what failed and where, never the value.
- `sources`: All sources except the volumes, read once: arguments, environment, `.env` files, custom sources.
- `startup_error`: The error of a failed first load: which fields, and where each was looked for.
- `suggestions`: The known name that is nearest to one that is not known.
- `types`: What the annotation of a field asks of a key: text, bytes, JSON, or keys of its own.
- `yaml`: YAML -> data, with the safe loader of PyYAML made strict.
"""

from liveconfig._loading.comparison import (
    beside,
    changed_fields,
    concerned_generations,
    named,
    new_generations,
    vanished_entries,
)
from liveconfig._loading.decoder import DecodeError
from liveconfig._loading.fault import Fault, StartupFailure
from liveconfig._loading.feed import Feed
from liveconfig._loading.fields import Node
from liveconfig._loading.key import Key, misplaced
from liveconfig._loading.loader import Feeds, Invalid, Loaded, Loader, Overrides
from liveconfig._loading.names import getter
from liveconfig._loading.origins import Frozens, Origins, fallen_back
from liveconfig._loading.pydantic_internals import (
    MASKED,
    copy_of,
    equal,
    field_hash,
    has_place,
    is_branch,
    leaves,
    mask,
    masked,
    same,
    swap,
    with_leaf_of,
)
from liveconfig._loading.redaction import settings_error
from liveconfig._loading.sources import Sources, source_options
from liveconfig._loading.startup_error import explain
from liveconfig._loading.suggestions import nearest
from liveconfig._loading.types import classes_within

__all__ = [
    "MASKED",
    "DecodeError",
    "Fault",
    "Feed",
    "Feeds",
    "Frozens",
    "Invalid",
    "Key",
    "Loaded",
    "Loader",
    "Node",
    "Origins",
    "Overrides",
    "Sources",
    "StartupFailure",
    "beside",
    "changed_fields",
    "classes_within",
    "concerned_generations",
    "copy_of",
    "equal",
    "explain",
    "fallen_back",
    "field_hash",
    "getter",
    "has_place",
    "is_branch",
    "leaves",
    "mask",
    "masked",
    "misplaced",
    "named",
    "nearest",
    "new_generations",
    "same",
    "settings_error",
    "source_options",
    "swap",
    "vanished_entries",
    "with_leaf_of",
]
