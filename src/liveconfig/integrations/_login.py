"""The newest login of a client, and what to do when the server refuses it.

A new connection runs these steps, each only if the server refused the one before: try the newest login; read the volume
and try a newer login; try the previous logins, because the volume can be newer than the server; wait for a newer login,
because the server can be newer than the volume, and try each that comes. After ``patience`` seconds, the client's own
error is raised. `Logins.connect` runs the steps in a thread, `Logins.aconnect` on an event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from time import monotonic
from typing import Any, TypeVar

from liveconfig import Change, LiveConfigError, Settings
from liveconfig.integrations._fields import Login, login_reader
from liveconfig.integrations._login_errors import accepted_despite_limits, login_refused, without_secrets
from liveconfig.integrations._subscription import subscribe_for
from liveconfig.settings import live_of

T = TypeVar("T")

RETRY_EVERY = 1.0  # seconds between two tries of a newest login that the server does not accept yet
FIRST_PAUSE = 0.25  # seconds, doubled with each try, in case the server changes between two tries
PREVIOUS_KEPT = 2  # previous logins that are worth a try

log = logging.getLogger("liveconfig")


@dataclass(frozen=True, slots=True)
class ReadVolume:
    """Read the volume now.

    Attributes:
        retry: Whether the verifiers of rejected content are called at once, and not at their time.
    """

    retry: bool = False

    def plain(self, live: Any) -> None:
        live.reload(wait=False, retry=self.retry)

    async def awaitable(self, live: Any) -> None:
        await asyncio.to_thread(live.reload, wait=False, retry=self.retry)


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for a snapshot that fulfils a condition, for a limited time."""

    seconds: float
    enough: Callable[[Any], bool]

    def plain(self, live: Any) -> None:
        with suppress(TimeoutError):
            live.wait(self.enough, self.seconds)

    async def awaitable(self, live: Any) -> None:
        with suppress(TimeoutError):
            await live.wait_for(self.enough, self.seconds)


Steps = Iterator[Login | ReadVolume | Wait]
Perform = Callable[[ReadVolume | Wait], None]


class Logins:
    """The logins of one client, and the answers of its server.

    It has no lock, because a forked child could inherit it locked. Two threads at the same time cost one more try.

    Args:
        settings: Live settings.
        user: The dotted name of the field that holds the user, or None.
        password: The dotted name of the field that holds the password, or None.
        patience: Seconds for which a new connection waits, from its first refusal, for a login that is accepted.
        refused: Returns whether an error of the client means that the login was refused.

    Raises:
        LiveConfigError: There is no such field (the message names the nearest), the settings are a snapshot, or the
            patience is no number of seconds.
        TypeError: They are a settings class, or something else.
    """

    def __init__(
        self,
        settings: Settings,
        user: str | None,
        password: str | None,
        patience: float,
        refused: Callable[[BaseException], bool] = login_refused,
    ) -> None:
        if not isinstance(patience, int | float) or not patience >= 0:
            raise LiveConfigError(f"`patience` must be a number of seconds, 0 or more, not {patience!r}")
        self.live: Any = live_of(settings)
        self._settings_name = type(settings).__name__
        self._fields = ", ".join(name for name in (user, password) if name)
        self.read = login_reader(settings, user, password)
        self._patience = patience
        self._refused = refused
        self._history: tuple[Login, ...] = (self.read(self.live.latest()),)  # the newest first
        self._accepted: Login | None = None
        self._warned_about: Login | None = None
        self._tried_at = float("-inf")
        self._refusal_is_news = True
        # a login counts even if no connection is opened while it is the newest
        subscribe_for(self, settings, self.read, Logins._changed, f"logins of {self._fields}")

    def _changed(self, change: Change[Login]) -> None:
        self._note(change.new)
        self.newest()

    def newest(self) -> Login:
        """Return the login of the newest snapshot, never of a pinned one."""
        return self._note(self.read(self.live.latest()))

    def outdated(self, login: Login, probe: Callable[[Login], None]) -> bool:
        """Whether a connection with this login should be replaced by one with the newest.

        It is True as soon as the server accepts the newest login. Until then, one call a second tries the newest login.

        Args:
            login: The login of the connection.
            probe: Opens one more connection with a login, and closes it.
        """
        if login == (newest := self.newest()):
            return False
        if self._accepted != newest and monotonic() - self._tried_at >= RETRY_EVERY:
            self._tried_at = monotonic()
            self._try(newest, probe)
        return self._accepted == newest

    def _try(self, newest: Login, probe: Callable[[Login], None]) -> None:
        try:
            with accepted_despite_limits():
                probe(newest)
        except Exception as error:  # noqa: BLE001 - the caller has a connection that works
            if self.refuses(error):
                self.warn(newest)
        except BaseException as interruption:
            without_secrets(interruption)
            raise
        else:
            self.accepted(newest)

    def superseded(self, login: Login) -> bool:
        """Whether the server has accepted a newer login."""
        return self._accepted == self.newest() != login

    def connect(self, attempt: Callable[[Login], T], perform: Perform | None = None) -> T:
        """Connect with a login that the server accepts.

        Args:
            attempt: Connects with one login.
            perform: Runs the steps that read and wait, if the calling thread must not block.

        Raises:
            Exception: The client's own error, if the server accepts no login within the patience.
        """
        return self._run(self._steps(), attempt, perform)

    async def aconnect(self, attempt: Callable[[Login], Awaitable[T]]) -> T:
        """As `connect`, on an event loop."""
        return await self._arun(self._steps(), attempt)

    def prove(self, attempt: Callable[[Login], Login]) -> Login:
        """Try the newest login, and no other, until the server accepts it, unless it has accepted it before.

        Args:
            attempt: Connects with one login, and returns it.

        Returns:
            The login that the server accepts.

        Raises:
            Exception: The client's own error, if the server does not accept it within the patience.
        """
        newest = self.newest()
        return newest if self._accepted == newest else self._run(self._steps_of_proof(), attempt)

    async def aprove(self, attempt: Callable[[Login], Awaitable[Login]]) -> Login:
        """As `prove`, on an event loop."""
        newest = self.newest()
        return newest if self._accepted == newest else await self._arun(self._steps_of_proof(), attempt)

    def _run(self, steps: Steps, attempt: Callable[[Login], T], perform: Perform | None = None) -> T:
        attempts = _Attempts(self)
        for step in steps:
            if isinstance(step, Login):
                try:
                    with attempts.of(step):
                        return attempt(step)
                except BaseException as interruption:  # a Ctrl-C or a cancellation
                    without_secrets(interruption)
                    raise
                attempts.stop_at_failure()
            elif perform is None:
                step.plain(self.live)
            else:
                perform(step)
        assert attempts.refusal is not None
        raise attempts.refusal

    async def _arun(self, steps: Steps, attempt: Callable[[Login], Awaitable[T]]) -> T:
        attempts = _Attempts(self)
        for step in steps:
            if isinstance(step, Login):
                try:
                    with attempts.of(step):
                        return await attempt(step)
                except BaseException as interruption:
                    without_secrets(interruption)
                    raise
                attempts.stop_at_failure()
            else:
                await step.awaitable(self.live)
        assert attempts.refusal is not None
        raise attempts.refusal

    def _steps(self) -> Steps:
        first = self.newest()
        yield first
        deadline = monotonic() + self._patience
        yield self._first_reading()
        tried = self.newest()
        yield from (login for login in self._history if login != first)
        yield from self._retries(tried, deadline, self._newest_since)

    def _first_reading(self) -> ReadVolume:
        """Read the volume after a refusal.

        The first refusal since the server accepted the newest login shows that the server has changed: it may accept a
        login now that a verifier has rejected. Further refusals show nothing new, and must not lock the account.
        """
        news, self._refusal_is_news = self._refusal_is_news, False
        return ReadVolume(retry=news)

    def _steps_of_proof(self) -> Steps:
        first = self.newest()
        yield first
        yield from self._retries(first, monotonic() + self._patience, lambda _: [self.newest()])

    def _retries(self, tried: Login, deadline: float, choose: Callable[[Login], Sequence[Login]]) -> Steps:
        pause = FIRST_PAUSE
        while (left := deadline - monotonic()) > 0:
            yield Wait(min(pause, left), self._newer_than(tried))
            yield ReadVolume()
            logins = choose(tried)
            yield from logins
            tried = logins[0]
            pause = min(2 * pause, RETRY_EVERY)

    def _newest_since(self, tried: Login) -> Sequence[Login]:
        """Return the logins that are newer than this one, the newest first; this one if there is none."""
        self.newest()
        return tuple(takewhile(lambda login: login != tried, self._history)) or (tried,)

    def _newer_than(self, login: Login) -> Callable[[Any], bool]:
        return lambda snapshot: self.read(snapshot) != login

    def accepted(self, login: Login, refused: Collection[Login] = ()) -> None:
        """Record that the server accepts a login.

        Args:
            login: It.
            refused: Those that it has refused just before.
        """
        if login == (newest := self.newest()):
            self._accepted, self._history = login, (login,)  # a replaced login is not kept in memory
            self._refusal_is_news = True
        elif newest in refused:
            self.warn(newest)

    def forget(self, login: Login) -> None:
        """Record that the server refuses a login: it no longer counts as accepted."""
        if login == self._accepted:
            self._accepted = None

    def without_secrets(self, error: Exception) -> Exception:
        """The error without the password."""
        if _cannot_be_sent(error):  # its message shows a letter of the password, its attributes the rest
            what = f"{self._settings_name}: the driver cannot send the login ({self._fields})"
            return LiveConfigError(f"{what}: it contains a character that the driver cannot encode")
        return without_secrets(error)

    def refuses(self, error: Exception) -> bool:
        """Whether the login was refused: by the server, or by a driver that cannot send it."""
        return _cannot_be_sent(error) or self._refused(error)

    def warn(self, newest: Login) -> None:
        """Say once that the server refuses the newest login, while one that is older works."""
        if self._warned_about != newest:
            self._warned_about = newest
            log.warning(
                "%s: the server refuses the newest login (%s); the previous login still works and is used. "
                "Change the password on the server, or correct it in the Secret",
                self._settings_name,
                self._fields,
            )

    def _note(self, login: Login) -> Login:
        if login != self._history[0]:
            self._history = tuple(dict.fromkeys((login, *self._history)))[: 1 + PREVIOUS_KEPT]
            self._tried_at = float("-inf")
        return login


class _Attempts:
    """The attempts of one connection. It keeps the refusal of the newest login."""

    def __init__(self, logins: Logins) -> None:
        self.refusal: Exception | None = None
        self._failure: Exception | None = None
        self._refused: set[Login] = set()
        self._logins = logins

    @contextmanager
    def of(self, login: Login) -> Iterator[None]:
        """Keep the client's error, and do not raise it: its frames hold the password."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised later
            clean = self._logins.without_secrets(error)
            if not self._logins.refuses(error):
                self._failure = clean
                return
            self._logins.forget(login)
            self._refused.add(login)
            if self.refusal is None or login == self._logins.newest():
                self.refusal = clean
        else:
            self._logins.accepted(login, self._refused)

    def stop_at_failure(self) -> None:
        """Raise the client's error if it is no refusal, because another login would not help."""
        if self._failure is not None:
            raise self._failure


def _cannot_be_sent(error: Exception) -> bool:
    """Whether the driver cannot put the login into its protocol: it cannot encode a letter, or it allows no NUL."""
    return isinstance(error, UnicodeEncodeError) or (isinstance(error, ValueError) and "null char" in str(error))
