"""The same with one YAML document: `CSafeLoader` of PyYAML."""

from __future__ import annotations

from functools import partial

import yaml

from benchmarks.contenders.floor_document import Adapter as DocumentAdapter


class Adapter(DocumentAdapter):
    parse = partial(yaml.load, Loader=yaml.CSafeLoader)
