"""Settings that are a global variable of a module: what is pickled in place of them is the name of the variable."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from importlib import import_module

from liveconfig import Settings


def global_name(settings: Settings) -> tuple[str, str]:
    """The module and the name under which the settings can be imported.

    Raises:
        pickle.PicklingError: There are none.
    """
    for module, name in _globals_of(type(settings).__module__, *list(sys.modules)):
        if vars(sys.modules[module]).get(name) is settings:
            return module, name
    raise pickle.PicklingError(
        f"what refers to live settings can be pickled only if they are a global variable of a module, "
        f"and this {type(settings).__name__} is none: assign it to a name at the top level of a module"
    )


def global_settings(module: str, name: str) -> Settings:
    """Import the settings.

    Raises:
        pickle.UnpicklingError: They are not there.
    """
    settings = getattr(import_module(module), name, None)
    if not isinstance(settings, Settings):
        raise pickle.UnpicklingError(f"the pickle needs live settings in {module}.{name}: there are none")
    return settings


def _globals_of(*modules: str) -> Iterator[tuple[str, str]]:
    for module in dict.fromkeys(modules):
        for name in list(getattr(sys.modules.get(module), "__dict__", ())):
            yield module, name
