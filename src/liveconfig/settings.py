"""`Settings`, the class that users subclass, and `SettingsConfigDict`."""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self, cast

import pydantic_settings
from pydantic import SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsError

from liveconfig._diagnostics import declared_volumes
from liveconfig._engine import Core
from liveconfig._loading import (
    MASKED,
    Sources,
    StartupFailure,
    classes_within,
    copy_of,
    explain,
    field_hash,
    mask,
    masked,
    misplaced,
    settings_error,
    source_options,
    swap,
)
from liveconfig._traceback import summarize
from liveconfig._volumes import Volume
from liveconfig.exceptions import LiveConfigError, VolumeError
from liveconfig.live import Live

__all__ = ["Settings", "SettingsConfigDict"]

VolumePath = str | os.PathLike[str] | Volume
_RESERVED = ("live", "load")


class SettingsConfigDict(pydantic_settings.SettingsConfigDict, total=False):
    """pydantic-settings' own keys, and what liveconfig adds.

    Attributes:
        volumes: One directory or `Volume`, or several; the last wins on a key that several hold.
        documents: Names of keys that hold a whole document (``application.yaml``, ``flags.json``, ``app.toml``,
            ``.env``, ``app.properties``), parsed by ending and merged under the single keys of the same volume.
        resync: Seconds between re-checks (default 30).
        watch: False: read once, `Live.reload` by hand (default True).
        missing_key: What a key does that vanishes from a volume that is there: ``"fallback"`` to environment or
            default, ``"reject"`` the update; None (default): reject for secrets, fall back for the rest.
        from_environment: Fields that are meant to come from the environment: no warning for them.
        stale_reminder: Seconds between reminders of what is stale (default 3600); None: say it once.
    """

    volumes: VolumePath | Sequence[VolumePath]
    documents: Sequence[str]
    resync: float
    watch: bool
    missing_key: Literal["fallback", "reject"] | None
    from_environment: Sequence[str]
    stale_reminder: float | None


class Settings(BaseSettings):
    """Settings that follow their volumes: a pydantic-settings class whose instances always show the newest values.

    An instance reads and validates when it is made and watches its volumes from then on. Its attributes are plain
    attributes; everything else it can do is reached as `live`.

    Raises:
        InvalidSettingsError: There is no valid configuration: which fields, and where each was looked for.
        AmbiguousKeyError: Two keys of one volume claim one field.
        VolumeError: A volume that is required is not there, or one cannot be read.
    """

    __slots__ = ("__liveconfig_live__", "__liveconfig_masked__")

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(  # pyright: ignore[reportIncompatibleVariableOverride]
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        volumes=(),
        documents=(),
        resync=30.0,
        watch=True,
        missing_key=None,
        from_environment=(),
        stale_reminder=3600.0,
    )

    def __init__(self, **values: Any) -> None:
        # Every value that came in is out of our frames before anything can be raised.
        try:
            core, failure = _begin(type(self), values)
        finally:
            values.clear()
        if core is None:
            raise failure
        swap(self, core.engine.applied.snapshot)
        object.__setattr__(self, _SLOT, Live(core, self))
        core.attach(self)
        core.start()
        core.monitor.review()

    @classmethod
    def load(cls, /, **overrides: Any) -> Self:
        """The same as calling the class, for type checkers that want every required field named there.

        Args:
            overrides: As for the constructor: values for fields, ``_volumes=``, ``_watch=``, and pydantic-settings'
                own ``_env_file=`` and so on.

        Raises:
            InvalidSettingsError: There is no valid configuration.
            AmbiguousKeyError: Two keys of one volume claim one field.
            VolumeError: A volume that is required is not there, or one cannot be read.
        """
        try:
            return cls(**overrides)
        finally:
            overrides.clear()

    @property
    def live(self) -> Live[Self]:
        """The way to everything beside the values (events, snapshots, status). Always the same object.

        Raises:
            LiveConfigError: This is a snapshot.
        """
        face = _face(self)
        if face is None:
            raise LiveConfigError(f"this {type(self).__name__} is a snapshot: only the object it came from is live")
        return cast("Live[Self]", face)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The order of the sources; the volumes come as ``file_secret_settings``.

        They stand above the environment on purpose: only they can be fresh.
        """
        return init_settings, file_secret_settings, env_settings, dotenv_settings

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # Before pydantic sees the fields: it would only warn.
        super().__init_subclass__(**kwargs)
        for name in _RESERVED:
            if name in cls.__dict__ or name in inspect.get_annotations(cls):
                raise LiveConfigError(f"{cls.__name__}: a field cannot be called {name!r}: that word is taken")

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for problem in _misuse(cls):
            raise LiveConfigError(f"{cls.__name__}: {problem}")

    # A live object is itself; a snapshot is its values.

    def __eq__(self, other: object) -> bool:
        if _face(self) is not None or _face(other) is not None:
            return self is other
        return super().__eq__(other)

    def __hash__(self) -> int:
        return object.__hash__(self) if _face(self) is not None else field_hash(self)

    def __copy__(self) -> Self:
        return copy_of(self) if _face(self) is None else copy_of(self.live.latest())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        source = self if _face(self) is None else self.live.latest()
        copy = BaseSettings.__deepcopy__(source, memo)
        mask(copy, masked(source))
        return copy  # type: ignore[no-any-return,unused-ignore]  # pyright: ignore

    def __getstate__(self) -> dict[Any, Any]:
        source = self if _face(self) is None else self.live.latest()
        return {**BaseSettings.__getstate__(source), MASKED: masked(source)}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        names = state.pop(MASKED, frozenset())
        super().__setstate__(state)
        mask(self, names)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        # What a Volume(secret=True) feeds is a secret, whatever its type. pydantic prints by way of this everywhere.
        # The values and what of them is secret belong together; what is computed may be computed of that.
        source = self if _face(self) is None else self.live.latest()
        hidden = masked(source)
        computed = type(self).model_computed_fields if hidden else {}
        for name, value in super(Settings, source).__repr_args__():
            yield name, SecretStr("hidden") if name in hidden or name in computed else value


_SLOT = "__liveconfig_live__"


def _face(instance: object) -> Live[Any] | None:
    try:
        return object.__getattribute__(instance, _SLOT)  # type: ignore[no-any-return]
    except AttributeError:
        return None


def _begin(cls: type[Settings], values: dict[str, Any]) -> tuple[Core[Any] | None, LiveConfigError]:
    """A core, or why there is none. It raises nothing that could lead to a value."""
    options = {name: values.pop(name) for name in source_options() & values.keys()}
    given, watch = values.pop("_volumes", None), values.pop("_watch", None)
    declared = _volumes(cls.model_config.get("volumes", ()) if given is None else given)
    volumes, replaced = _replaced(declared)
    if options.get("_secrets_dir") is not None:
        return None, LiveConfigError(f"{cls.__name__}: _secrets_dir is not followed: name the directory in _volumes")
    absent = [volume.path for volume in volumes if volume.required and not os.path.isdir(volume.path)]
    if absent:
        return None, VolumeError(f"{cls.__name__}: the volume {absent[0]} is required, and there is no such directory")
    cls.model_rebuild(raise_errors=False)  # of a class that was made before those it names: nothing if it is complete
    sources = core = None
    reason: StartupFailure | str = ""
    try:
        sources = Sources(cls, dict(values), options)
        core = Core(cls, volumes, sources, replaced=replaced)
    except SettingsError as error:
        reason = settings_error(error)
    except StartupFailure as error:
        reason = error
    except Exception as error:  # noqa: BLE001 - a source of the class, or a file that a source reads
        reason = f"a source of the settings raised {summarize(error)}"
    finally:
        values.clear()
        options.clear()
    if core is None:
        return None, explain(cls, volumes, sources, reason)
    if watch is not None:
        core.config = {**core.config, "watch": watch}
    return core, LiveConfigError()


def _volumes(given: VolumePath | Sequence[VolumePath]) -> tuple[Volume, ...]:
    several = (given,) if isinstance(given, (str, os.PathLike, Volume)) else given
    return tuple(_absolute(each if isinstance(each, Volume) else Volume(each)) for each in several)


def _absolute(volume: Volume) -> Volume:
    path = os.path.abspath(os.path.expanduser(volume.path))
    return Volume(path, required=volume.required, secret=volume.secret)


def _replaced(declared: tuple[Volume, ...]) -> tuple[tuple[Volume, ...], bool]:
    paths = declared_volumes()
    if paths is None:
        return declared, False
    secret = any(volume.secret for volume in declared)
    return tuple(_absolute(Volume(path, required=False, secret=secret)) for path in paths), True


def _misuse(cls: type[Settings]) -> list[str]:
    """What a class may not ask for, in sentences."""
    config: Mapping[str, Any] = cls.model_config
    found = [f"a field cannot be called {name!r}: that word is taken" for name in _RESERVED if name in cls.model_fields]
    for name, wrong in (("extra", "allow"), ("frozen", False), ("validate_assignment", True)):
        if config.get(name) == wrong:
            found.append(f"{name}={wrong!r} is not possible: such values would not survive the next swap")
    resync = config.get("resync", 30.0)
    if not isinstance(resync, (int, float)) or not 0 < resync <= threading.TIMEOUT_MAX:
        found.append(f"resync={resync!r} is no period: it is the seconds between two re-checks")
    if config.get("missing_key") not in (None, "fallback", "reject"):
        found.append(f"missing_key={config.get('missing_key')!r} is none of 'fallback', 'reject' and None")
    texts = (name for name in ("documents", "from_environment") if isinstance(config.get(name), str))
    found += [f"{name}={config.get(name)!r} is one text: name several in a list" for name in texts]
    if config.get("secrets_dir") is not None:
        found.append("secrets_dir is not followed: name the directory in volumes")
    for name, field in cls.model_fields.items():
        if any(issubclass(member, BaseSettings) for member in classes_within(field.annotation)):
            found.append(f"the type of {name!r} would read the world again at every load: make it a BaseModel")
    return found + list(misplaced(cls.model_fields))
