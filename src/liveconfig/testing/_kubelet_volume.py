"""A volume that is written as the kubelet writes it: the same steps in the same order."""

from __future__ import annotations

import os
import random
import re
import secrets
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

from liveconfig._manifests import Manifest, Payload, checked, payload_of, payloads_of, without_frames

Step: TypeAlias = Literal[
    "mkdir", "chmod", "file", "link", "symlink", "rename", "unlink", "remove-file", "remove-folder", "permit"
]

_DATA = "..data"
_DATA_TMP = "..data_tmp"
# A test of faults can point `..data` anywhere. Its target is removed only if it has a name like this.
_GENERATION = re.compile(r"\.\.\d{4}_[^/]+")


class KubeletVolume:
    """A directory that is laid out and swapped as the kubelet does it for a ConfigMap or a Secret.

    It keeps nothing in memory: a second one on the same directory, in another process too, continues from what is on
    the disk. As with the kubelet, one writer at a time. The order of its steps is that of kubernetes
    ``pkg/volume/util/atomic_writer.go``, except that a ``..data_tmp`` of a killed writer is replaced.

    Args:
        path: The mount directory. It is made if it is missing.
        legacy: Write in the order of kubelets before v1.21 and of secrets-store-csi-driver: the visible links
            before the swap, and the mode of the files (0600 until then) last.
    """

    def __init__(self, path: str | os.PathLike[str], *, legacy: bool = False) -> None:
        self._root = os.path.abspath(path)  # as the settings do, so that a later `chdir` moves neither
        self._path = Path(self._root)
        self._legacy = legacy
        self._path.mkdir(parents=True, exist_ok=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._path)!r}, generation={self.generation!r})"

    @property
    def path(self) -> Path:
        """The mount directory."""
        return self._path

    @property
    def generation(self) -> str | None:
        """The name of the folder that ``..data`` points to; None if there is none."""
        try:
            name = os.readlink(self._at(_DATA))
        except OSError:
            return None
        return name if _GENERATION.fullmatch(name) else None

    @without_frames
    def write(self, payload: Payload, /) -> None:
        """Replace all keys by these. If the disk has this payload already, nothing is written.

        Args:
            payload: Text (written as UTF-8) or bytes by key; a key with ``/`` lies in a folder.

        Raises:
            ValueError: A key that the kubelet rejects, or text that cannot be written as UTF-8.
            TypeError: A value that is neither text nor bytes.
        """
        for _ in self.steps(payload):
            pass

    @without_frames
    def update(self, payload: Payload, /) -> None:
        """Set these keys and leave the others as they are, in one swap.

        Raises:
            ValueError: A key that the kubelet rejects, or text that cannot be written as UTF-8.
            TypeError: A value that is neither text nor bytes.
        """
        self.write({**self._on_disk(), **payload})

    def remove(self, *keys: str) -> None:
        """Remove these keys, in one swap.

        Raises:
            KeyError: There is no such key.
        """
        payload = self._on_disk()
        for key in keys:
            del payload[key]
        self.write(payload)

    @without_frames
    def apply(self, manifest: Manifest, /, *, name: str | None = None, kind: str | None = None) -> None:
        """Replace all keys by those of a ConfigMap or a Secret.

        Args:
            manifest: The path of a file, its text (YAML or JSON), or the object itself. A string is text if it is
                empty, begins with ``{``, or has a line end or ``": "`` in it.
            name: The name of the object to take, if the manifest holds several: a stream of documents, or a ``List``.
            kind: Its kind, ``"ConfigMap"`` or ``"Secret"``.

        Raises:
            ValueError: It is not one ConfigMap or Secret that an API server would take; or a key stands twice in it.
            ModuleNotFoundError: It is YAML, and PyYAML (the extra ``[yaml]``) is not installed.
        """
        self.write(payload_of(manifest, name=name, kind=kind))

    @without_frames
    def projected(self, *manifests: Manifest | Sequence[Manifest]) -> None:
        """Replace all keys by those of several ConfigMaps and Secrets, in one swap, as for a projected volume.

        If two of them hold the same key, the later one is used, as by the kubelet.

        Args:
            manifests: As for `apply`; each may hold several objects, and a list stands for its elements.

        Raises:
            ValueError: One is not a ConfigMap or Secret that an API server would take.
            ModuleNotFoundError: One is YAML, and PyYAML (the extra ``[yaml]``) is not installed.
        """
        each: list[Manifest] = []
        for given in manifests:
            each += [given] if isinstance(given, (str, os.PathLike, Mapping)) else given
        self.write(
            {key: value for manifest in each for payload in payloads_of(manifest) for key, value in payload.items()}
        )

    @without_frames
    def steps(self, payload: Payload, /) -> Iterator[Step]:
        """Write as `write` does, one step for each item of the iterator, for tests of the states between two steps.

        To simulate a killed writer, stop the iteration: nothing is cleaned up.

        Yields:
            The step that was just done: ``mkdir`` and ``chmod`` the generation; each ``file``; ``symlink`` of
            ``..data_tmp``; ``rename`` to ``..data`` (the swap); each new visible ``link``; ``unlink`` of each old one;
            each ``remove-file`` and ``remove-folder`` of the old generation. In the legacy order the ``link`` steps
            come before ``symlink``, and ``permit`` (the mode of each file) is the last one.

        Raises:
            ValueError: A key that the kubelet rejects, or text that cannot be written as UTF-8.
            TypeError: A value that is neither text nor bytes.
        """
        return self._steps(checked(payload))

    def _steps(self, payload: Mapping[str, bytes]) -> Iterator[Step]:
        old = self.generation
        before = self._read(old)
        if old is not None and before == payload:
            yield from self._link(payload)
            return
        new = yield from self._create()
        yield from self._fill(new, payload)
        if self._legacy:
            yield from self._link(payload)
        yield from self._swap(new)
        if not self._legacy:
            yield from self._link(payload)
        yield from self._unlink(_first_parts(before) - _first_parts(payload))
        if old is not None:
            yield from self._dismantle(self._at(old))
        if self._legacy:
            yield from self._permit(new, payload)

    def _create(self) -> Generator[Step, None, str]:
        # More digits than the kubelet's ten, so that thousands of swaps in one second never share a name.
        name = f"{time.strftime('..%Y_%m_%d_%H_%M_%S', time.gmtime())}.{secrets.randbelow(10**15)}"
        os.mkdir(self._at(name), 0o700)
        yield "mkdir"
        os.chmod(self._at(name), 0o755)  # noqa: S103 - as the kubelet: everybody may look in
        yield "chmod"
        return name

    def _fill(self, generation: str, payload: Mapping[str, bytes]) -> Iterator[Step]:
        for key in _shuffled(payload):
            self._make_folders(generation, key)
            _write_file(self._at(generation, key), payload[key], 0o600 if self._legacy else 0o644)
            yield "file"

    def _make_folders(self, generation: str, key: str) -> None:
        folder = self._at(generation)
        for part in key.split("/")[:-1]:
            folder = os.path.join(folder, part)
            with suppress(FileExistsError):
                os.mkdir(folder)
                os.chmod(folder, 0o755)  # noqa: S103 - whatever our umask: the kubelet's leaves this

    def _swap(self, generation: str) -> Iterator[Step]:
        with suppress(FileNotFoundError):
            os.unlink(self._at(_DATA_TMP))
        os.symlink(generation, self._at(_DATA_TMP))
        yield "symlink"
        os.rename(self._at(_DATA_TMP), self._at(_DATA))
        yield "rename"

    def _link(self, payload: Mapping[str, bytes]) -> Iterator[Step]:
        for name in _shuffled(_first_parts(payload)):
            if not os.path.lexists(self._at(name)):
                os.symlink(f"{_DATA}/{name}", self._at(name))
                yield "link"

    def _unlink(self, names: Iterable[str]) -> Iterator[Step]:
        for name in _shuffled(names):
            if os.path.islink(self._at(name)):
                os.unlink(self._at(name))
                yield "unlink"

    def _dismantle(self, folder: str) -> Iterator[Step]:
        for entry in _entries(folder):
            if entry.is_dir(follow_symlinks=False):
                yield from self._dismantle(entry.path)
            else:
                os.unlink(entry.path)
                yield "remove-file"
        with suppress(FileNotFoundError, NotADirectoryError):
            os.rmdir(folder)
            yield "remove-folder"

    def _permit(self, generation: str, payload: Mapping[str, bytes]) -> Iterator[Step]:
        for key in payload:
            os.chmod(self._at(generation, key), 0o644)
            yield "permit"

    def _on_disk(self) -> dict[str, bytes]:
        return {key: value for key, value in self._read(self.generation).items() if value is not None}

    def _read(self, generation: str | None) -> dict[str, bytes | None]:
        """Return the files of a generation; None for other objects that a test of faults has created."""
        return {} if generation is None else dict(_files(self._at(generation)))

    def _at(self, *parts: str) -> str:
        return os.path.join(self._root, *parts)


def _shuffled(names: Iterable[str]) -> list[str]:
    """Return the items in random order, as Go iterates over a map."""
    shuffled = list(names)
    random.shuffle(shuffled)
    return shuffled


def _first_parts(keys: Iterable[str]) -> set[str]:
    return {key.partition("/")[0] for key in keys}


def _write_file(path: str, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        while content:
            content = content[os.write(descriptor, content) :]
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _files(folder: str, prefix: str = "") -> Iterator[tuple[str, bytes | None]]:
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, _content(entry.path) if entry.is_file(follow_symlinks=False) else None


def _entries(folder: str) -> list[os.DirEntry[str]]:
    if os.path.islink(folder):
        return []
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _content(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()
