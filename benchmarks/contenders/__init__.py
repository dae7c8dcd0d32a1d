"""Who runs, and how each one wants its configuration to lie in the volume."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "CONTENDERS",
    "DYNAMIC_CONFIG",
    "FLOOR",
    "FLOOR_DOCUMENT",
    "FLOOR_YAML",
    "OURS",
    "OURS_DOCUMENT",
    "OURS_YAML",
    "Contender",
]


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to read configuration.

    Attributes:
        module: The adapter, a module of this package with a class `Adapter`.
        title: What the tables call it.
        shape: How a mounted ConfigMap holds its settings: a key each (``keys``) or one document.
        packages: The distributions whose versions count.
        rereads: It does not watch: who wants the newest value reads it again.
        reloads: It has a call that loads what is on the disk now.
        calls_back: It tells when a value changed.
        patience: Seconds that it may take, by its own documentation, to see a change.
        peer: It runs in the virtual environment of the contenders, not in ours.
    """

    module: str
    title: str
    shape: str = "keys"
    packages: tuple[str, ...] = ()
    rereads: bool = False
    reloads: bool = True
    calls_back: bool = True
    patience: float = 0.5
    peer: bool = True


FLOOR = Contender("floor", "the floor: raw inotify, read, validate", packages=("pydantic",), peer=False)
OURS = Contender(
    "liveconfig", "liveconfig", packages=("pydantic", "pydantic-settings", "watchdog", "blinker"), peer=False
)
OURS_DOCUMENT = Contender("liveconfig_document", "liveconfig, one document", shape="json", peer=False)
FLOOR_DOCUMENT = Contender("floor_document", "the floor, one JSON document", shape="json", peer=False)
FLOOR_YAML = Contender("floor_yaml", "the floor, one YAML document", shape="yaml", peer=False)
OURS_YAML = Contender("liveconfig_yaml", "liveconfig, one YAML document", shape="yaml", peer=False)
DYNAMIC_CONFIG = Contender(
    "dynamic_config", "dynamic-config-py, one file", shape="json", packages=("dynamic-config-py",), patience=1.0
)
CONTENDERS: tuple[Contender, ...] = (
    FLOOR,
    OURS,
    OURS_DOCUMENT,
    DYNAMIC_CONFIG,
    Contender(
        "dynamic_config_secrets",
        "dynamic-config-py, secrets_dir",
        packages=("dynamic-config-py",),
        patience=1.0,
    ),
    Contender(
        "pydantic_settings_new",
        "pydantic-settings, a new instance",
        packages=("pydantic-settings", "pydantic"),
        rereads=True,
        calls_back=False,
    ),
    Contender("dynaconf_fresh", "dynaconf", shape="json", packages=("dynaconf",), rereads=True, calls_back=False),
    Contender("watchfiles_pydantic", "watchfiles + pydantic", packages=("watchfiles", "pydantic"), patience=2.0),
    Contender(
        "launchdarkly",
        "LaunchDarkly file source",
        shape="launchdarkly",
        packages=("launchdarkly-server-sdk", "watchdog"),
        reloads=False,
        patience=1.0,
    ),
    Contender(
        "flagd",
        "flagd file provider",
        shape="flagd",
        packages=("openfeature-provider-flagd", "openfeature-sdk"),
        reloads=False,
        patience=2.0,
    ),
    Contender("habit", "the file, read on each request", rereads=True, calls_back=False),
)
