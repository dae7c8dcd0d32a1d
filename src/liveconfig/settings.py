"""`Settings`, the class that users subclass, and `SettingsConfigDict`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar, cast

import pydantic_settings
from pydantic import SecretStr, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from liveconfig._engine import has_arguments, load_core
from liveconfig._loading import (
    FAILURE,
    MASKED,
    RESERVED,
    Format,
    VolumePath,
    assign,
    copy_of,
    deep_copy_of,
    did_you_mean,
    empty,
    failure_of,
    field_hash,
    is_being_built,
    mask,
    masked,
    merge_bases,
    misuse,
    slot,
    swap,
    take_class_arguments,
    unknown_class_argument,
)
from liveconfig.exceptions import LiveConfigError
from liveconfig.live import Live

__all__ = ["Settings", "SettingsConfigDict", "live_of"]

S = TypeVar("S", bound="Settings")


class SettingsConfigDict(pydantic_settings.SettingsConfigDict, total=False):
    """The configuration of a settings class: the keys of pydantic-settings, and those of liveconfig.

    Attributes:
        volumes: One directory or `Volume`, or several. If several have the same key, the last one wins.
        documents: Names of keys that contain a whole document (``application.yaml``, ``flags.json``, ``app.toml``,
            ``.env``, ``app.properties``), parsed according to the ending. Single keys of the same volume override them.
            Or a mapping from names to formats: ``{"config": "dotenv"}``.
        key_prefix: The prefix of the keys; ``""`` for none, None (default) for the ``env_prefix`` of the class.
        resync: Seconds between re-checks (default 30).
        watch: False: read once, and again only at `Live.reload` (default True).
        missing_key: What happens when a key is removed from a volume: ``"fallback"`` to the environment or the default,
            or ``"reject"`` the change. None (default): reject for secrets, fall back for others.
        from_environment: Fields that come from the environment on purpose, so that there is no warning.
        stale_reminder: Seconds between reminders of stale fields (default 3600); None: log each once.
    """

    volumes: VolumePath | Sequence[VolumePath]
    documents: Sequence[str] | Mapping[str, Format]
    key_prefix: str | None
    resync: float
    watch: bool
    missing_key: Literal["fallback", "reject"] | None
    from_environment: Sequence[str]
    stale_reminder: float | None


class Settings(BaseSettings):
    """Settings that follow their volumes: a pydantic-settings class whose instances always have the newest values.

    An instance reads and validates its sources when it is created, and watches its volumes from then on. Its values are
    plain attributes. All other functions are methods of `live`.

    Raises:
        InvalidSettingsError: There is no valid configuration. The message names the fields and where each was looked
            for.
        AmbiguousKeyError: Two keys of one volume claim one field.
        VolumeError: A required volume is missing, or a volume cannot be read.
    """

    __slots__ = (
        "__liveconfig_assigned__",
        "__liveconfig_failure__",
        "__liveconfig_live__",
        "__liveconfig_masked__",
    )

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(  # pyright: ignore[reportIncompatibleVariableOverride]
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        volumes=(),
        documents=(),
        key_prefix=None,
        resync=30.0,
        watch=True,
        missing_key=None,
        from_environment=(),
        stale_reminder=3600.0,
    )

    def __init__(self, /, **values: Any) -> None:
        # No frame of ours may hold a value when an exception is raised.
        try:
            failure = _load_again(self, values) if _is_made(self) else _load(self, values)
        finally:
            values.clear()
        if failure is not None:
            raise failure

    @classmethod
    def load(cls, /, **overrides: Any) -> Self:
        """Load the settings, as a call of the class does. Type checkers do not ask for the required fields here.

        Args:
            overrides: As for the constructor: values for fields; ``_volumes=``, ``_watch=``; ``_wait=``, the seconds
                to wait for a valid configuration and for required volumes, while the thread blocks; and
                pydantic-settings' own ``_env_file=`` and so on.

        Raises:
            InvalidSettingsError: There is no valid configuration.
            AmbiguousKeyError: Two keys of one volume claim one field.
            VolumeError: A required volume is missing, or a volume cannot be read.
        """
        try:
            return cls(**overrides)
        finally:
            overrides.clear()

    @property
    def live(self) -> Live[Self]:
        """The methods of the settings: events, snapshots, status. Always the same object.

        Raises:
            LiveConfigError: This is a snapshot.
        """
        live = _kept_live(self)
        if live is None:
            raise LiveConfigError(f"this {type(self).__name__} is a snapshot: only the object it came from is live")
        return cast("Live[Self]", live)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in their order; ``file_secret_settings`` stands for the volumes.

        The volumes come before the environment, because only they can change while the process runs.
        """
        return init_settings, file_secret_settings, env_settings, dotenv_settings

    def __init_subclass__(cls, **kwargs: Any) -> None:
        own = _configuration_keys() - pydantic_settings.SettingsConfigDict.__optional_keys__
        others, failed = take_class_arguments(cls, kwargs, own), False
        try:
            super().__init_subclass__(**others)
        except TypeError:
            failed = True
        if failed:
            raise unknown_class_argument(cls, others, _configuration_keys())
        merge_bases(cls)
        # Check this before pydantic does, which would only warn.
        for name in RESERVED:
            if name in cls.__dict__ or name in inspect.get_annotations(cls):
                raise LiveConfigError(f"{cls.__name__}: a field cannot be called {name!r}: liveconfig uses this name")

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for problem in misuse(cls, _configuration_keys()):
            raise LiveConfigError(f"{cls.__name__}: {problem}")

    if not TYPE_CHECKING:  # a type checker would accept every name as a field

        def __getattr__(self, name: str) -> Any:
            failure = failure_of(self)
            if failure is not None and name in type(self).model_fields:
                raise type(failure)(str(failure))
            return super().__getattr__(name)

        # Validators and `model_post_init` may assign attributes; nothing may assign them on a finished object.

        def __setattr__(self, name: str, value: Any) -> None:
            if is_being_built(self):
                assign(self, name, value)
            elif name.startswith("_"):
                super().__setattr__(name, value)
            else:
                del value  # no frame of the traceback may hold it
                raise _assignment_error(self, name, "assigned")

        def __delattr__(self, name: str) -> None:
            if not name.startswith("_"):
                raise _assignment_error(self, name, "deleted")
            super().__delattr__(name)

    # A live object is equal only to itself; snapshots with the same values are equal.

    def __eq__(self, other: object) -> bool:
        if _kept_live(self) is not None or _kept_live(other) is not None:
            return self is other
        return super().__eq__(other)

    def __hash__(self) -> int:
        return object.__hash__(self) if _kept_live(self) is not None else field_hash(self)

    def __copy__(self) -> Self:
        return copy_of(self) if _kept_live(self) is None else copy_of(self.live.latest())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return deep_copy_of(self if _kept_live(self) is None else self.live.latest(), memo)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return empty, (type(self),), self.__getstate__()

    def __getstate__(self) -> dict[Any, Any]:
        source = self if _kept_live(self) is None else self.live.latest()
        return {**BaseSettings.__getstate__(source), MASKED: masked(source)}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        names = state.pop(MASKED, frozenset())
        super().__setstate__(state)
        mask(self, names)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        # Fields that a Volume(secret=True) feeds are secrets, whatever their type. pydantic prints everything with this
        # method. The values and the names of the secret ones come from one snapshot. A computed field may be computed
        # from a secret.
        source = self if _kept_live(self) is None else self.live.latest()
        hidden = masked(source)
        computed = type(self).model_computed_fields if hidden else {}
        for name, value in super(Settings, source).__repr_args__():
            yield name, SecretStr("hidden") if name in hidden or name in computed else value


_SLOT = "__liveconfig_live__"


def _kept_live(instance: object) -> Live[Any] | None:
    live: Live[Any] | None = slot(instance, _SLOT)
    return live


def live_of(settings: S) -> Live[S]:
    """Return the live object of settings.

    Raises:
        LiveConfigError: They are a snapshot.
        TypeError: It is a settings class, or something else.
    """
    if not isinstance(settings, Settings):
        found = f"the class {settings.__name__}" if isinstance(settings, type) else type(settings).__name__
        raise TypeError(f"expected live settings, which `load()` returns, found {found}")
    return settings.live


def _is_made(instance: Settings) -> bool:
    """Whether an object has values already: it is live or a snapshot."""
    return _kept_live(instance) is not None or slot(instance, "__pydantic_fields_set__") is not None


def _load(instance: Settings, given: dict[str, Any]) -> LiveConfigError | None:
    """Load a new object and make it live. Return the error if that is not possible."""
    core, failure = load_core(type(instance), given)
    if core is None:
        return failure
    swap(instance, core.engine.applied.snapshot)
    object.__setattr__(instance, FAILURE, failure_of(core.engine.applied.snapshot))
    object.__setattr__(instance, _SLOT, Live(core, instance))
    core.attach(instance)
    core.begin()
    return None


def _load_again(instance: Settings, given: dict[str, Any]) -> LiveConfigError | None:
    """Reload, as a second ``__init__`` does in pydantic-settings. Return the error if that is not possible."""
    live, name = _kept_live(instance), type(instance).__name__
    if live is None:
        return LiveConfigError(f"{name}: this is a snapshot, which never changes: only the object it came from is live")
    if given and not has_arguments(live._core, given):  # noqa: SLF001
        return LiveConfigError(
            f"{name}: these settings are loaded already, with other arguments: make another object, or call "
            "`live.reload()` to look again"
        )
    live.reload(wait=False)
    return None


def _assignment_error(instance: Settings, name: str, verb: str) -> ValidationError:
    """Return pydantic's error for a frozen model, without the value, and with advice."""
    cls = type(instance)
    text = f"{cls.__name__}.{name} cannot be {verb}: {_advice(instance, name)}"
    error = PydanticCustomError("frozen_instance", text)  # type: ignore[arg-type,unused-ignore]
    return ValidationError.from_exception_data(
        cls.__name__, [{"type": error, "loc": (name,), "input": None}], hide_input=True
    )


def _advice(instance: Settings, name: str) -> str:
    """Say why a name cannot be assigned, and what to do instead."""
    fields = type(instance).model_fields
    if name not in fields:
        return f"it is not a field{did_you_mean(name, fields)}"
    if _kept_live(instance) is None:
        return "this is a snapshot, which never changes. To get a copy with another value, use model_copy(update=...)"
    return (
        "the next change on a volume would replace it. Change the key on the volume; in a test, use "
        "liveconfig.testing.override"
    )


def _configuration_keys() -> frozenset[str]:
    """The keys that `model_config` may have."""
    return SettingsConfigDict.__optional_keys__ | SettingsConfigDict.__required_keys__
