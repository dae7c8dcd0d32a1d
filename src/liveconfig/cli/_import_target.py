"""The import of ``MODULE:OBJECT``: live settings, a class, or a function that returns settings."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from liveconfig import AmbiguousKeyError, InvalidSettingsError, LiveConfigError, Settings, VolumeError
from liveconfig._loading import failure_of, importing_application, nearest
from liveconfig._traceback import raised_by_code, summarize
from liveconfig.cli._application_code import application_code


class NoSettings(Exception):  # noqa: N818 - it is reported as one line
    """There are no settings. The message is one line."""


class NoConfiguration(NoSettings):
    """The application was imported and has no valid configuration here. The message has a line for each problem."""


def status_in_new_process(target: str) -> dict[str, Any]:
    """Import the target and return its status. Output of the application goes to standard error.

    Raises:
        NoSettings: There is no such module or object, or no valid configuration.
    """
    module, colon, name = target.partition(":")
    if not (module and colon and name):
        raise NoSettings(f"{target!r} is neither MODULE:OBJECT (as in app.settings:settings) nor a URL")
    logging.getLogger("liveconfig").addHandler(logging.NullHandler())  # the page shows the same
    with application_code():
        return _status(_imported(module), name, target)


def class_in(target: str) -> type[Settings]:
    """Import and return the settings class of ``MODULE:CLASS``, or the class of a settings object.

    Raises:
        NoSettings: There is no such module or class.
    """
    module, colon, name = target.partition(":")
    if not (module and colon and name):
        raise NoSettings(f"{target!r} is not MODULE:CLASS (as in app.settings:AppSettings)")
    logging.getLogger("liveconfig").addHandler(logging.NullHandler())
    with application_code():
        imported = _imported(module)
        found = _found(imported, name)
    if isinstance(found, Settings):
        return type(found)
    if _is_settings_class(found):
        return found  # type: ignore[no-any-return]
    raise NoSettings(f"{target} is no Settings class{_choice(imported)}")


def _choice(module: ModuleType) -> str:
    """The settings classes of a module, as the end of a message."""
    names = [name for name, each in vars(module).items() if _is_settings_class(each) and each is not Settings]
    return f"; settings classes of {module.__name__}: {', '.join(names)}" if names else ""


def _is_settings_class(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, Settings)


def _imported(module: str) -> ModuleType:
    if "/" in module or "\\" in module or module.endswith(".py") or not all(module.split(".")):
        raise NoSettings(f"{module!r} is not the name of a module: write it with dots, as app.settings")
    sys.path.insert(0, os.getcwd())  # as gunicorn and uvicorn do
    try:
        with importing_application():
            return importlib.import_module(module)
    except KeyboardInterrupt:
        raise
    except LiveConfigError as error:
        problem = _while_importing(error)
    except BaseException as error:  # noqa: BLE001 - whatever a user's module does, sys.exit() too
        problem = _why(error)
    raise NoSettings(f"{module!r} cannot be imported: {problem}")


def _while_importing(error: LiveConfigError) -> str:
    """Return one line: where the application caused an error of ours, which error, and what to do."""
    place = next(_places(error), "")
    if type(error) is LiveConfigError:  # it is about a class; the others are raised where a missing value is read
        return f"{place}: {_why(error)}"
    return (
        f"{place} reads a value that is missing here. Read it later, in a function that the import does not call. "
        f"{_why(error)}"
    )


def _places(error: BaseException) -> Iterator[str]:
    """The lines of the application in a traceback, innermost first."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        file, package = frame.f_code.co_filename, str(frame.f_globals.get("__name__")).partition(".")[0]
        if os.path.isfile(file) and package not in ("liveconfig", "pydantic", "importlib"):
            relative = os.path.relpath(file)
            yield f"{file if relative.startswith(os.pardir) else relative}:{line}"


def _status(module: ModuleType, name: str, target: str) -> dict[str, Any]:
    process = os.getpid()
    try:
        found = _found(module, name)
        if _is_settings_class(found):
            found = found.load()
        elif _is_factory(found):
            found = asyncio.run(found()) if inspect.iscoroutinefunction(found) else found()
            target = f"what {target}() returns"
        if isinstance(found, Settings):
            return _status_of(found)
        problem = f"{target} is neither live settings, nor a Settings class, nor a function that returns settings"
        refusal = NoSettings(problem + _choice(module) + _of_flask(found, module))
    except NoSettings:
        raise
    except (InvalidSettingsError, VolumeError, AmbiguousKeyError) as error:
        refusal = NoConfiguration(str(error))
    except BaseException as error:  # whatever the function or a validator does, sys.exit() too
        if not raised_by_code(error, process):
            raise
        refusal = NoSettings(_why(error))
    raise refusal


def _of_flask(found: Any, module: ModuleType) -> str:
    """The command for a Flask application, as the end of a message."""
    kinds = (each.__module__.partition(".")[0] for each in type(found).__mro__)
    return f"; for a Flask application: flask --app {module.__name__} liveconfig explain" if "flask" in kinds else ""


def _status_of(settings: Settings) -> dict[str, Any]:
    failure = failure_of(settings)
    if failure is not None:
        raise NoConfiguration(str(failure))
    return settings.live.status().as_dict()


def _is_factory(found: Any) -> bool:
    """Whether an object can be called without arguments, as ``get_settings()`` in many applications."""
    if isinstance(found, (type, Settings)) or not callable(found):
        return False
    try:
        inspect.signature(found).bind()
    except (TypeError, ValueError):
        return False
    return True


def _found(module: ModuleType, name: str) -> Any:
    function, parenthesis, _ = name.partition("(")
    if parenthesis:
        raise NoSettings(f"name the function without parentheses: {module.__name__}:{function}")
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            close = nearest(part, dir(found))
            hint = f"; did you mean {close!r}?" if close else ""
            raise NoSettings(f"{module.__name__!r} has no {name!r}{hint}")
        found = getattr(found, part)
    return found


def _why(error: BaseException) -> str:
    """Return one line: the type and place of an exception, without its message, which may hold a secret."""
    if isinstance(error, LiveConfigError):
        return "; ".join(line.strip() for line in str(error).splitlines())
    if isinstance(error, ModuleNotFoundError):
        cure = "run this in the directory of the application, set PYTHONPATH, or install it in this environment"
        return f"there is no module {error.name!r}: {cure}"
    if isinstance(error, SyntaxError):
        return f"no valid Python in {error.filename}, line {error.lineno}"
    return summarize(error)
