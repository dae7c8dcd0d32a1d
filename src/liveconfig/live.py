"""`Live`, the public methods of one settings object, and `Subscription`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from operator import attrgetter, itemgetter
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, overload

from pydantic_settings import BaseSettings

from liveconfig import _clock
from liveconfig._delivery import (
    EventQueue,
    Reloads,
    Stream,
    Subject,
    Subscriber,
    ValueChanges,
    call_in_thread,
    coroutines_finished,
    is_subscriber,
    name_of,
    needed_loop,
    takes_one_argument,
    waits,
    why_not_callable,
)
from liveconfig._engine import Core, Pin, Verifier, pinned
from liveconfig._loading import failure_of, getter, nearest
from liveconfig._watching import renew_at_end
from liveconfig.events import Change, Recovered, Rejected, Reloaded, Stale
from liveconfig.exceptions import LiveConfigError
from liveconfig.history import HistoryEntry
from liveconfig.origin import Origin
from liveconfig.status import Status

S = TypeVar("S", bound=BaseSettings)
T = TypeVar("T")
R = TypeVar("R")
Callback = Callable[[T], R]


class Subscription:
    """The result of `Live.subscribe` and `Live.add_verifier`, to cancel it."""

    def __init__(self, core: Core[Any], member: Subscriber | Verifier) -> None:
        self._core: Core[Any] | None = core  # None after `cancel`: it must not keep the settings alive
        self._member = member

    def cancel(self) -> None:
        """Stop the calls. A running call is not interrupted. Calling this twice is harmless."""
        core, self._core = self._core, None
        renew_at_end()
        if core is not None:
            core.cancel(self._member)


def _nothing(_: object) -> None:
    """Select nothing."""


class Live(Generic[S]):
    """The methods of a settings object: ``settings.live``. Reading the values needs none of them."""

    def __init__(self, core: Core[S], instance: S) -> None:
        self._its_core = core
        self._instance = instance

    @property
    def _core(self) -> Core[S]:
        renew_at_end()
        return self._its_core

    def __repr__(self) -> str:
        return f"<Live {type(self._instance).__name__} version={self.version}>"

    # Snapshots

    def latest(self) -> S:
        """Return the newest snapshot: an immutable instance of the same class."""
        return self._its_core.engine.in_use.state[0].snapshot

    def snapshot(self) -> S:
        """Return the pinned snapshot inside `pinned`, else the newest."""
        in_use = self._its_core.engine.in_use
        held = pinned(in_use)
        return in_use.state[0].snapshot if held is None else held

    def pinned(self) -> AbstractContextManager[S]:
        """Pin one snapshot: inside the ``with``, `snapshot` always returns the same one.

        A nested pin keeps the snapshot of the outer one.

        Tasks that were started inside get the newest snapshot again after the ``with`` has ended.
        """
        return Pin(self._its_core.engine.in_use)

    @property
    def version(self) -> int:
        """The version: 1 after the first load, then one more for each applied change."""
        return self._core.engine.version.number

    # Reloading, starting and closing

    def reload(self, wait: bool = True, *, retry: bool = True) -> bool:
        """Read the volumes now.

        Args:
            wait: Return after the volumes are complete, the verifiers have decided, and each subscriber has received
                the version that is newest at the call. It does not wait for coroutines, for a subscriber that has run
                for over 1 s, and, inside a subscriber, for those that are called later. Inside a validator it does not
                wait at all.
            retry: Check rejected content again now. If False, only new content is checked. Rejected content waits for
                its next attempt, so that frequent reloads do not call its verifiers too often.

        Returns:
            True if the content of the volumes is applied, now or before; False if it is rejected (`status` says why).
        """
        return self._core.reload(wait, retry)

    async def areload(self, *, retry: bool = True) -> bool:
        """Do the same as ``reload(wait=True, retry=retry)`` without blocking the event loop.

        It also waits for the coroutine subscribers of this loop, except those that have run for over 1 s. Inside a
        validator or a verifier it is the same as `reload`.

        Raises:
            LiveConfigError: No asyncio event loop runs here.
        """
        if self._core.engine.is_inside():  # a look on another thread would wait for this one
            return self._core.reload(wait=True, retry=retry)
        applied = await call_in_thread(lambda: self._core.reload(wait=True, retry=retry))
        await coroutines_finished(self._core.publisher)
        return applied

    def start(self) -> None:
        """Watch the volumes: again after `close`, or for the first time if ``watch=False`` was given.

        Calling it twice is harmless. A forked child watches its volumes without a call.
        """
        self._core.follow()

    def close(self) -> None:
        """Stop watching. It returns in bounded time, from any thread, and calling it twice is harmless.

        Closed settings keep their values, and `reload` still works.
        """
        self._core.close()

    def __enter__(self) -> Self:
        self._core.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._core.leave()

    async def __aenter__(self) -> Self:
        loop = needed_loop()
        self._core.enter()
        self._core.publisher.bind_loop(loop)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._core.publisher.unbind_loop(needed_loop())
        self._core.leave()

    # Subscribing

    def on_change(
        self, what: Callable[[S], T] | str, *, initial: bool = False, retry: bool = True
    ) -> Callable[[Callback[Change[T], R]], Callback[Change[T], R]]:
        """Subscribe the decorated function to a value. The function is returned unchanged.

        Args:
            what: A selector (``lambda s: (s.db.user, s.db.password)``) or a field (``"db.password"``; the name of a
                model means every field inside it).
            initial: Also deliver once at the subscription; ``old`` is then ``new``.
            retry: Deliver again after an exception: after 1 s, doubling to 60 s, until it succeeds.

        Raises:
            LiveConfigError: There is no such field. The message suggests the nearest name.
            TypeError: ``what`` is neither a field nor a selector: the decorator was written without parentheses.
        """
        self._selector(what)

        def decorate(callback: Callback[Change[T], R]) -> Callback[Change[T], R]:
            self.subscribe(what, callback, initial=initial, retry=retry)
            return callback

        return decorate

    def on_reload(self, callback: Callback[Reloaded[S], R]) -> Callback[Reloaded[S], R]:
        """Subscribe the decorated function to each applied change, as a whole."""
        self.subscribe(Reloaded, callback)
        return callback

    def on_reject(self, callback: Callback[Rejected, R]) -> Callback[Rejected, R]:
        """Subscribe the decorated function to rejections."""
        self.subscribe(Rejected, callback)
        return callback

    def on_recover(self, callback: Callback[Recovered, R]) -> Callback[Recovered, R]:
        """Subscribe the decorated function to the ends of rejections."""
        self.subscribe(Recovered, callback)
        return callback

    def on_stale(self, callback: Callback[Stale, R]) -> Callback[Stale, R]:
        """Subscribe the decorated function to fields that cannot follow their volume."""
        self.subscribe(Stale, callback)
        return callback

    @overload
    def subscribe(
        self,
        what: type[Reloaded[Any]],
        callback: Callback[Reloaded[S], object],
        *,
        initial: bool = ...,
        retry: bool = ...,
    ) -> Subscription: ...
    @overload
    def subscribe(
        self, what: type[Rejected], callback: Callback[Rejected, object], *, initial: bool = ..., retry: bool = ...
    ) -> Subscription: ...
    @overload
    def subscribe(
        self, what: type[Recovered], callback: Callback[Recovered, object], *, initial: bool = ..., retry: bool = ...
    ) -> Subscription: ...
    @overload
    def subscribe(
        self, what: type[Stale], callback: Callback[Stale, object], *, initial: bool = ..., retry: bool = ...
    ) -> Subscription: ...
    @overload
    def subscribe(
        self, what: str, callback: Callback[Change[Any], object], *, initial: bool = ..., retry: bool = ...
    ) -> Subscription: ...
    @overload
    def subscribe(
        self,
        what: Callable[[S], T],
        callback: Callback[Change[T], object],
        *,
        initial: bool = ...,
        retry: bool = ...,
    ) -> Subscription: ...
    def subscribe(
        self, what: Any, callback: Callable[[Any], object], *, initial: bool = False, retry: bool = True
    ) -> Subscription:
        """Call ``callback`` for each event from now on.

        Args:
            what: As for `on_change`, or one of `Reloaded`, `Rejected`, `Recovered`, `Stale`.
            callback: A plain function, called on a delivery thread, or a coroutine function, run on the event loop
                that is running now (or at the next ``async with settings.live``). It is held strongly.
            initial: As for `on_change`; for `Rejected` and `Stale`, the standing ones are delivered.
            retry: As for `on_change`.

        Returns:
            An object with a ``cancel`` method.

        Raises:
            LiveConfigError: There is no such field. The message suggests the nearest name.
            TypeError: ``what`` is neither a field nor a selector, or ``callback`` cannot be called.
        """
        subject = self._subject(what)
        if (reason := why_not_callable(callback)) is not None:
            raise TypeError(f"a subscriber must be a function of one argument, not {_described(callback)}: {reason}")
        subscriber = Subscriber(subject, callback, initial=initial, retry=retry)
        self._core.subscribe(subscriber)
        return Subscription(self._core, subscriber)

    @overload
    def changes(self, what: str) -> Stream[Change[Any]]: ...
    @overload
    def changes(self, what: Callable[[S], T]) -> Stream[Change[T]]: ...
    def changes(self, what: Any) -> Stream[Change[Any]]:
        """Return an asynchronous iterator over the changes of a value.

        Use it as ``async for change in settings.live.changes(what)``. It is subscribed at the call and ends at `close`.
        It has ``aclose()``, for ``contextlib.aclosing``.

        Raises:
            LiveConfigError: There is no such field. The message suggests the nearest name.
        """
        return Stream(self._core.publisher, self._subject(what), self._core.closed)

    def reloads(self) -> Stream[Reloaded[S]]:
        """Return an asynchronous iterator over the applied changes, each as a whole."""
        return Stream(self._core.publisher, self._subject(Reloaded), self._core.closed)

    async def wait_for(self, predicate: Callable[[S], bool], timeout: float | None = None) -> S:
        """Wait for a snapshot for which the predicate is true, and return it.

        It checks the newest snapshot each time when the loop has time, so it can miss a state that lasts only briefly.

        Raises:
            LiveConfigError: ``timeout`` is not a number.
            TimeoutError: There was none within ``timeout`` seconds.
        """
        snapshot: S = await waits.wait_for(self._core.publisher, predicate, timeout)
        return snapshot

    def wait(self, predicate: Callable[[S], bool], timeout: float | None = None) -> S:
        """Do the same as `wait_for` in plain code: block until the predicate is true.

        Raises:
            LiveConfigError: ``timeout`` is not a number.
            TimeoutError: There was none within ``timeout`` seconds.
        """
        snapshot: S = waits.wait(self._core.publisher, predicate, timeout, _clock.monotonic)
        return snapshot

    @overload
    def verify(
        self, check: Callable[[S], T], *, on: Callable[[S], object] | str | None = ..., timeout: float = ...
    ) -> Callable[[S], T]: ...
    @overload
    def verify(
        self, check: None = ..., *, on: Callable[[S], object] | str | None = ..., timeout: float = ...
    ) -> Callable[[Callable[[S], T]], Callable[[S], T]]: ...
    def verify(
        self, check: Any = None, *, on: Callable[[S], object] | str | None = None, timeout: float = 10.0
    ) -> Callable[..., Any]:
        """Let the decorated function check each change before it is applied: ``@live.verify(on="db", timeout=5)``.

        The function is called with the candidate, a snapshot, on a separate thread. If it raises an exception, returns
        False or takes longer than ``timeout``, the candidate is rejected. It is called again while the content is on
        disk: after 1 s, doubling to 300 s, with 20 % jitter. It is not called for the first load.

        Args:
            check: The function, if the decorator is written without parentheses: ``@live.verify``.
            on: A selector or the name of a field. The function is called only if that value differs from the one in
                use; volumes that do not feed it are applied at once, while the function runs. None: for every change.
            timeout: Seconds that one call may take.

        Raises:
            TypeError: The positional argument is not a function to decorate but a text, a lambda, an `attrgetter`, or
                an object that cannot be called with one argument. Nothing is registered.
            LiveConfigError: There is no such field (the message suggests the nearest name), or ``timeout`` is not
                positive.
        """
        if isinstance(check, (str, attrgetter, itemgetter)) or getattr(check, "__name__", "") == "<lambda>":
            raise TypeError(f"`verify` takes the function that checks, not {_described(check)}: {_WRITE_ON}")
        select = self._verified_value(on, timeout)

        def register(check: Callable[[S], T]) -> Callable[[S], T]:
            self._core.add_verifier(_verifier(check, select, timeout))
            return check

        return register if check is None else register(check)

    def add_verifier(
        self, check: Callable[[S], object], *, on: Callable[[S], object] | str | None = None, timeout: float = 10.0
    ) -> Subscription:
        """Register a verifier, as `verify` does, with a call.

        Returns:
            An object with a ``cancel`` method, after which a change that only this verifier rejected is applied.

        Raises:
            TypeError: ``check`` or ``on`` cannot be called with one argument.
            LiveConfigError: There is no such field (the message suggests the nearest name), or ``timeout`` is not
                positive.
        """
        verifier = _verifier(check, self._verified_value(on, timeout), timeout)
        self._core.add_verifier(verifier)
        return Subscription(self._core, verifier)

    def _verified_value(self, on: Any, timeout: float) -> Callable[[Any], Any] | None:
        if not (on is None or isinstance(on, str) or takes_one_argument(on)):
            raise TypeError(f"`on` must be a selector or the name of a field, not {_described(on)}")
        if not isinstance(timeout, (int, float)) or not 0 < timeout <= threading.TIMEOUT_MAX:
            raise LiveConfigError(f"`timeout` must be a positive number of seconds, not {timeout!r}")
        return None if on is None else self._selector(on)

    def _subject(self, what: Any) -> Subject:
        version = self._core.publisher.newest
        if what is Reloaded:
            return Reloads(version)
        if what in (Rejected, Recovered, Stale):
            return EventQueue(what, version)
        select = self._selector(what)
        if failure_of(self._instance) is not None:  # a placeholder has no values, and nothing will change
            select = _nothing
        return ValueChanges(select, what if isinstance(what, str) else None, version)

    def _selector(self, what: Any) -> Callable[[Any], Any]:
        if isinstance(what, str):
            return getter(self._known(what))
        if not takes_one_argument(what) or is_subscriber(what):
            raise TypeError(
                f'name what to watch: a field (`on_change("db.password")`) or a selector '
                f"(`on_change(lambda s: s.db.password)`), not {_described(what)}"
            )
        return what  # type: ignore[no-any-return]

    def _known(self, name: str) -> str:
        plan = self._core.loader.plan
        if plan.node(name) is None:
            close = nearest(name, [*plan.fields, *self.origins()])
            hint = f"; did you mean {close!r}?" if close else ""
            raise LiveConfigError(f"{type(self._instance).__name__} has no field {name!r}{hint}")
        return name

    # Origins, status, history

    def origin(self, field: str) -> Origin:
        """Return where the value of a field comes from.

        Raises:
            LiveConfigError: There is no such field. The message suggests the nearest name.
        """
        return self._core.monitor.origin(self._known(field), self._core.engine.applied)

    def origins(self) -> dict[str, Origin]:
        """Return where each value comes from, by dotted field."""
        return self._core.monitor.origins(self._core.engine.applied)

    def status(self) -> Status:
        """Return the state of these settings in this process. It contains no value."""
        return self._core.status()

    @property
    def healthy(self) -> bool:
        """Whether `Status.healthy` is true. Cheap enough for probes: nothing else of the status is computed."""
        return self._core.is_healthy()

    @overload
    def recent(self, field: str, *, within: float | None = ...) -> tuple[Any, ...]: ...
    @overload
    def recent(self, field: Callable[[S], T], *, within: float | None = ...) -> tuple[T, ...]: ...
    def recent(self, field: Any, *, within: float | None = None) -> tuple[Any, ...]:
        """Return the present and earlier distinct values of a field, newest first, at most 16.

        Use it for keys that must still verify older signatures. The first call returns the present value. From then on,
        replaced values are kept, in memory only.

        Args:
            field: The name of a field, or a selector. A selector is identified by its object identity, so define it
                once.
            within: Seconds for which a replaced value is kept; None: until 16 others have come.

        Raises:
            LiveConfigError: There is no such field, ``within`` is negative, or this is the 33rd different selector.
            TypeError: ``field`` is neither a field nor a selector.
        """
        if within is not None and not within >= 0:
            raise LiveConfigError(f"`within` must be a number of seconds, not {within!r}")
        return self._core.recent.recent(field, self._selector(field), within)

    def history(self) -> tuple[HistoryEntry, ...]:
        """Return the newest 32 outcomes (applied, rejected, recovered, stale), newest first, without values."""
        return self._core.history()


_WRITE_ON = "to name the value that it checks, write `verify(on=...)`"


def _verifier(check: Any, select: Callable[[Any], Any] | None, timeout: float) -> Verifier:
    if not takes_one_argument(check):
        raise TypeError(
            f"a verifier must be a function of one argument, the candidate, not {_described(check)}: {_WRITE_ON}"
        )
    if (reason := why_not_callable(check)) is not None:
        raise TypeError(f"a verifier must be a function of one argument, not {_described(check)}: {reason}")
    return Verifier(check, select, timeout)


def _described(given: object) -> str:
    """Describe an argument without its value."""
    if getattr(given, "__name__", "") == "<lambda>":
        return "a lambda"
    return f"{name_of(given)} ({type(given).__name__})" if callable(given) else f"a {type(given).__name__}"
