"""Functions that read from a snapshot of settings: a value, a secret, or a login."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr

from liveconfig import LiveConfigError, Settings
from liveconfig.settings import live_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True, repr=False)
class Login:
    """A user and a password from one snapshot; None means the value of the client's own configuration."""

    user: SecretStr | None
    password: SecretStr | None

    def arguments(self, user: str = "user", password: str = "password") -> dict[str, str]:  # noqa: S107 - names
        """Return the login as plain text, with the client's names of the arguments."""
        given = {user: self.user, password: self.password}
        return {name: value.get_secret_value() for name, value in given.items() if value is not None}


def login_reader(settings: Settings, user: str | None, password: str | None) -> Callable[[Any], Login]:
    """Return a function that reads the login from a snapshot.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest.
    """
    get_user, get_password = (
        _nothing if field is None else if_loaded(secret_reader(settings, field)) for field in (user, password)
    )
    return lambda snapshot: Login(get_user(snapshot), get_password(snapshot))


def secret_reader(settings: Settings, field: str) -> Callable[[Any], SecretStr | None]:
    """Return a function that reads a field from a snapshot; it returns None if the field, or a model above it, is None.

    Raises:
        LiveConfigError: There is no such field (the message names the nearest), or it holds several values.
    """
    read = value_reader(settings, field)
    value = if_loaded(read)(settings.live.latest())
    if isinstance(value, BaseModel | Collection) and not isinstance(value, str | bytes):
        found = f"found {type(value).__name__}: name a field in it"
        raise LiveConfigError(f"{type(settings).__name__}: `{field}` must hold one value, {found}")
    return lambda snapshot: _as_secret(read(snapshot))


def value_reader(settings: Settings, field: str) -> Callable[[Any], Any]:
    """Return a function that reads a field from a snapshot; it returns None if a model above has no such field.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest.
        TypeError: It is a settings class, or something else.
    """
    live_of(settings).origin(field)
    names = field.split(".")

    def read(value: Any) -> Any:
        for name in names:
            value = getattr(value, name, None)
        return value

    return read


def if_loaded(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """Return a function that reads from a snapshot, and returns None where the snapshot has no values.

    While a command of liveconfig imports an application without its volumes, there are no values; applications bind
    their clients at the top of a module, as they load their settings there.
    """

    def read_if_loaded(snapshot: Any) -> T | None:
        try:
            return read(snapshot)
        except LiveConfigError:
            return None

    return read_if_loaded


def _nothing(_snapshot: Any) -> None:
    return None


def _as_secret(value: Any) -> SecretStr | None:
    """Wrap a value of a field as a secret."""
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if isinstance(value, bytes):
        value = value.decode(errors="replace")  # strict would show the bytes in the error
    return None if value is None else SecretStr(str(value))
