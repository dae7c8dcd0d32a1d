"""The hash that kustomize appends to the name of a generated ConfigMap or Secret.

kustomize api/hasher/hasher.go; kubectl pkg/util/hash/hash.go does the same for ``--append-hash``, with the name in what
is hashed, where kustomize leaves it empty.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

_HASH = re.compile(r"[2456789bcdfghkmt]{10}")
_TO_ALPHABET = str.maketrans("013ae", "ghkmt")
_ESCAPED_BY_GO = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def ends_in_hash(manifest: Mapping[Any, Any], name: str) -> bool:
    """Whether the name of a ConfigMap or Secret ends in the hash of its present content."""
    base, _, suffix = name.rpartition("-")
    if not base or not _HASH.fullmatch(suffix) or not _holds_text_only(manifest):
        return False
    return suffix in (hash_of(manifest, ""), hash_of(manifest, base))


def _holds_text_only(manifest: Mapping[Any, Any]) -> bool:
    """Whether all that is hashed is text: an API server takes nothing else."""
    sections = [manifest.get(name) or {} for name in ("data", "binaryData", "stringData")]
    if not all(isinstance(each, Mapping) for each in sections):
        return False
    texts = (text for each in sections for item in each.items() for text in item)
    return all(isinstance(text, str) for text in (*texts, manifest.get("type") or ""))


def hash_of(manifest: Mapping[Any, Any], name: str) -> str:
    """Return the ten characters of the hash of a ConfigMap or Secret.

    Args:
        manifest: The object.
        name: The name to hash: kustomize takes an empty one, kubectl the name without its hash.
    """
    hashed: dict[str, Any] = {"kind": manifest.get("kind"), "name": name, "data": manifest.get("data") or ""}
    if hashed["kind"] == "Secret":
        hashed["type"] = manifest.get("type") or ""
    for section in ("binaryData", "stringData"):
        if isinstance(manifest.get(section), Mapping):
            hashed[section] = manifest[section]
    text = json.dumps(hashed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(text.translate(_ESCAPED_BY_GO).encode("utf-8", "replace"))
    return digest.hexdigest()[:10].translate(_TO_ALPHABET)
