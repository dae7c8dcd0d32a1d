"""What is done to the volumes during a soak: swaps of every kind, and the faults."""

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
        home: The folder of the volumes.
        rejected: Tells whether the application holds what is on the disk for bad.
        expect_config: Waits until the application has a number of the first volume.
    """

    def __init__(self, home: Path, rejected: Callable[[], bool], expect_config: Callable[[int], None]) -> None:
        self._config_path, self._secret_path, self._aside = home / "config", home / "secret", home / "aside"
        self._login_path, self._blocked_path = home / "login", home / "blocked"
        self._rejected, self._expect_config = rejected, expect_config
        self.config = self.secret = self.login = self.blocked = 0
        self.violations: list[str] = []
        self.swap()
        self.swap_secret()
        self.swap_login()
        self.block(0.0)
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
            self.swap_login: 10,
            self.swap_a_slow_login: 4,
            self.refuse_the_login: 4,
            self.let_the_verifier_hang: 1,
            self.write_what_is_out_of_order: 4,
            self.block: 3,
        }

    @property
    def volumes(self) -> list[str]:
        """Their mount directories."""
        return [str(self._config_path), str(self._secret_path), str(self._login_path)]

    @property
    def blocked_volume(self) -> str:
        """That of the settings whose validator blocks."""
        return str(self._blocked_path)

    @property
    def generations(self) -> list[str | None]:
        """What each of the three volumes shows."""
        return [KubeletVolume(path).generation for path in (self._config_path, self._secret_path, self._login_path)]

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

    def swap_login(self, mood: str = "good") -> None:
        self.login += 1
        KubeletVolume(self._login_path).write({"login-0": f"{self.login}", "login-1": f"{self.login}", "mood": mood})

    def swap_a_slow_login(self) -> None:
        self.swap_login("slow")

    def refuse_the_login(self) -> None:
        """Meanwhile a change of the first volume must arrive."""
        self.swap_login("refused")
        self.swap()
        self._expect_config(self.config)
        self.swap_login()

    def let_the_verifier_hang(self) -> None:
        self.swap_login("hangs")
        self.swap()
        self._expect_config(self.config)
        self.swap_login()

    def write_what_is_out_of_order(self) -> None:
        self._bad({**_payload(self.config + 1), "low": "99"})

    def block(self, seconds: float | None = None) -> None:
        """Meanwhile the other settings must move on."""
        self.blocked += 1
        pause = random.uniform(0.1, 3.0) if seconds is None else seconds
        KubeletVolume(self._blocked_path).write({"number": f"{self.blocked}", "pause": f"{pause:.2f}"})
        if seconds is None:
            self.swap()
            self._expect_config(self.config)

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
        for _ in range(random.randint(1, 6)):  # a file, at the farthest: the rename comes after eight files
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
    documents = {"application.json": f'{{"document_number": {number}}}', "features.yaml": f"yaml_number: {number}"}
    return {**keys, "limit": "10", **documents}


def _pause(shortest: float, longest: float) -> None:
    time.sleep(random.uniform(shortest, longest))
