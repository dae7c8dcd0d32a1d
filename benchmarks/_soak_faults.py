"""What is done to the two volumes during a soak: swaps of every kind, and the faults."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from liveconfig.testing import KubeletVolume

__all__ = ["Writer"]


class Writer:
    """Writes ever higher numbers, one for each volume; whatever it did, it ends with a good generation on the disk.

    Args:
        home: The folder of both volumes.
        rejected: Tells whether the application holds what is on the disk for bad.
    """

    def __init__(self, home: Path, rejected: Callable[[], bool]) -> None:
        self._config_path, self._secret_path, self._aside = home / "config", home / "secret", home / "aside"
        self._rejected = rejected
        self.config, self.secret = 0, 0
        self.violations: list[str] = []
        self.swap()
        self.swap_secret()
        self.kinds: dict[Callable[[], None], int] = {
            self.swap: 50,
            self.swap_secret: 20,
            self.burst: 8,
            self.swap_in_the_old_order: 8,
            self.write_the_same_again: 4,
            self.add_and_remove_keys: 6,
            self.touch_beside: 4,
            self.stop_half_way: 5,
            self.write_a_wrong_type: 4,
            self.write_a_broken_document: 4,
            self.make_unreadable: 5,
            self.erase_everything: 4,
            self.delete_the_directory: 4,
            self.mount_another: 4,
        }

    @property
    def volumes(self) -> list[str]:
        """Their mount directories."""
        return [str(self._config_path), str(self._secret_path)]

    def act(self) -> str:
        """One of the kinds, by chance; its name."""
        [kind] = random.choices(list(self.kinds), list(self.kinds.values()))
        kind()
        return kind.__name__.replace("_", " ")

    def swap(self) -> None:
        self.config += 1
        KubeletVolume(self._config_path).write(_payload(self.config))

    def swap_secret(self) -> None:
        self.secret += 1
        KubeletVolume(self._secret_path).write({"secret-0": f"{self.secret}", "secret-1": f"{self.secret}\n"})

    def burst(self) -> None:
        for _ in range(random.randint(2, 50)):
            self.swap()

    def swap_in_the_old_order(self) -> None:
        self.config += 1
        KubeletVolume(self._config_path, legacy=True).write(_payload(self.config))

    def write_the_same_again(self) -> None:
        KubeletVolume(self._config_path).write(_payload(self.config))

    def add_and_remove_keys(self) -> None:
        self.config += 1
        KubeletVolume(self._config_path).write({**_payload(self.config), "unused": "x", "folder/unused": "x"})
        self.swap()

    def touch_beside(self) -> None:
        for number in range(100):
            beside = self._config_path / f"beside-{number}"
            beside.touch()
            beside.unlink()

    def stop_half_way(self) -> None:
        steps = KubeletVolume(self._config_path).steps(_payload(self.config + 1))
        for _ in range(random.randint(1, 6)):  # a file, at the farthest: the rename comes after seven files
            next(steps)
        self.swap()

    def write_a_wrong_type(self) -> None:
        self._bad({**_payload(-1), "limit": "many"})

    def write_a_broken_document(self) -> None:
        self._bad({**_payload(-1), "application.json": '{"document_number": '})

    def make_unreadable(self) -> None:
        self.config += 1
        for step in KubeletVolume(self._config_path).steps(_payload(self.config)):
            if step == "symlink":
                pending = self._config_path / os.readlink(self._config_path / "..data_tmp")
                pending.chmod(0)
        _pause(0.02, 1.5)
        pending.chmod(0o755)

    def erase_everything(self) -> None:
        for entry in list(self._config_path.iterdir()):
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        _pause(0.0, 0.3)
        self.swap()

    def delete_the_directory(self) -> None:
        shutil.rmtree(self._config_path)
        _pause(0.0, 0.3)
        self.swap()

    def mount_another(self) -> None:
        self.config += 1
        KubeletVolume(self._aside / "new").write(_payload(self.config))
        self._config_path.rename(self._aside / "old")
        _pause(0.0, 0.01)
        (self._aside / "new").rename(self._config_path)
        shutil.rmtree(self._aside)

    def _bad(self, payload: dict[str, str]) -> None:
        KubeletVolume(self._config_path).write(payload)
        if random.random() < 0.5 and not self._rejected():
            self.violations.append("a bad configuration that nobody complained of")
        self.swap()


def _payload(number: int) -> dict[str, str]:
    keys = {f"config-{index}": f"{number}" for index in range(5)}
    return {**keys, "limit": "10", "application.json": f'{{"document_number": {number}}}'}


def _pause(shortest: float, longest: float) -> None:
    time.sleep(random.uniform(shortest, longest))
