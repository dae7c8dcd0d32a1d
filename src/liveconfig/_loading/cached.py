"""`cached`: a property that is computed at its first use, without a lock.

`functools.cached_property` of Python 3.11 holds a lock while it computes, one for all objects of a class. A child that
is forked meanwhile would wait for ever, because the thread that holds it does not run there. Python 3.12 has removed
the lock (python/cpython issue 87634).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class cached(Generic[T]):  # noqa: N801 - used as a decorator, as `property` is
    """A property whose value is kept in the ``__dict__`` of the object.

    Two threads may compute it at the same time; both get the value of the one that is first to finish.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type | None = None) -> T: ...

    def __get__(self, instance: object | None, owner: type | None = None) -> T | Self:
        if instance is None:
            return self
        value: T = instance.__dict__.setdefault(self._name, self._compute(instance))
        return value

    if TYPE_CHECKING:  # only for type checkers: with a `__set__`, Python would look for the value here at each use

        def __set__(self, instance: object, value: T) -> None: ...
