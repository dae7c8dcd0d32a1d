"""``liveconfig check``: loads a settings class with manifests, and reports what an application would read."""

from __future__ import annotations

import argparse
import json
import posixpath
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from liveconfig._checks import (
    CHECK_RULES,
    CannotCheck,
    Changes,
    Selection,
    Trial,
    changes,
    check,
    findings,
    must_hold_something,
)
from liveconfig._json import as_plain
from liveconfig._manifests import DATA_KINDS, LEVELS, Finding, Manifests, ObjectId, kind_of, read, read_paths
from liveconfig._terminal import Paint, folded_table, painter, printable, width_of_output, without_commands
from liveconfig.cli._application_code import application_code
from liveconfig.cli._import_target import NoSettings, class_in
from liveconfig.cli._output import finding_as_dict, github, problem_as_dict, sarif

ACCEPTED, FINDINGS, CANNOT = 0, 1, 2
_EPILOG = (
    "Exit code 0: nothing at or above --fail-on. 1: findings. 2: unreadable input, input without objects, or "
    "MODULE:CLASS cannot be imported. No value is printed. The class is loaded by the same code as in a pod; the "
    "environment, .env files and volumes of this machine are not looked at."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its arguments."""
    parser.description = (
        "Loads a settings class with the ConfigMaps and Secrets of manifests, as the workloads there mount them, and "
        "lists what each field would be fed from, and what the application would reject."
    )
    parser.epilog = _EPILOG
    parser.add_argument("target", metavar="MODULE:CLASS", help="the settings class, as app.settings:AppSettings")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="manifests: files, directories, - for standard input")
    parser.add_argument(
        "--workload",
        default="",
        metavar="KIND/NAME",
        help="look at this workload alone (default: every workload that mounts a volume of the class)",
    )
    parser.add_argument(
        "--container",
        default="",
        metavar="NAME",
        help="look at this container alone (default: all that mount no fewer volumes than another one of their pod)",
    )
    parser.add_argument(
        "--volume",
        action="append",
        default=[],
        metavar="MOUNT=KIND/NAME",
        help="without a workload: the object that is mounted at MOUNT; may be repeated",
    )
    parser.add_argument(
        "-n",
        "--namespace",
        default="",
        metavar="NS",
        help="the namespace of objects that name none, and of the workload that --workload names",
    )
    parser.add_argument(
        "--diff",
        nargs=2,
        metavar=("OLD", "NEW"),
        help="which fields would change from OLD to NEW, live or at the next start; files or directories",
    )
    parser.add_argument(
        "-o",
        "--output",
        choices=("table", "json", "sarif", "github"),
        default="table",
        help="table (default), json, sarif (2.1.0), github (annotations of a workflow)",
    )
    parser.add_argument(
        "--fail-on",
        choices=("error", "warning", "note", "never"),
        default="error",
        help="exit with code 1 for a finding of this level or a more serious one (default: error)",
    )


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments. A PATH may stand after an option, too."""
    return parser.parse_intermixed_args(arguments)


def run(arguments: argparse.Namespace) -> int:
    """Check, and print the answer.

    Returns:
        0 without findings at or above ``--fail-on``, 1 with findings, 2 if the check is not possible.
    """
    try:
        return _run(arguments)
    except (CannotCheck, NoSettings, ModuleNotFoundError) as error:
        print(f"liveconfig check: {printable(str(error))}", file=sys.stderr)
        return CANNOT


def _run(given: argparse.Namespace) -> int:
    if not (given.paths or given.diff):
        raise CannotCheck("give a PATH, or - for standard input")
    if given.workload and not all(given.workload.partition("/")):
        raise CannotCheck(f"--workload takes KIND/NAME, as in deployment/web, not {given.workload!r}")
    cls = class_in(given.target)
    volumes = _chosen(given.volume, given.namespace)
    selection = Selection(given.workload, given.container, volumes, given.namespace)
    base = read(read_paths(given.paths), namespace=given.namespace, values=True)
    if given.diff:
        if given.output not in ("table", "json"):
            raise CannotCheck(f"--diff has no -o {given.output}: use -o table or -o json")
        old, new = (read(read_paths([each]), namespace=given.namespace, values=True) for each in given.diff)
        for each in (base, old, new):
            _must_be_readable(each, given.target)
        must_hold_something(new.over(base), selection)
        with application_code():
            before, after = (check(cls, each.over(base), selection) for each in (old, new))
            found_changes = changes(before, after)
        return _show_changes(found_changes, given.output)
    _warn(base, given.target)
    if not base.problems:
        must_hold_something(base, selection)
    with application_code():
        trials = check(cls, base, selection) if base.objects or base.workloads or not base.problems else ()
    found = findings(trials)
    for line in _FORMATS[given.output](trials, found, base):
        print(line)
    if base.problems:
        return CANNOT
    failing = LEVELS[: LEVELS.index(given.fail_on) + 1] if given.fail_on != "never" else ()
    return FINDINGS if any(each.level in failing for each in found) else ACCEPTED


def _warn(manifests: Manifests, target: str) -> None:
    """Name the input that cannot be read, and the parts that are left out."""
    skipped = (each.advice(shlex.join(["liveconfig", "check", target])) for each in manifests.skipped)
    for each in (*manifests.problems, *skipped):
        print(f"liveconfig check: {printable(str(each))}", file=sys.stderr)


def _must_be_readable(manifests: Manifests, target: str) -> None:
    if manifests.problems:
        raise CannotCheck(str(manifests.problems[0]))
    _warn(manifests, target)


def _chosen(volumes: Sequence[str], namespace: str) -> dict[str, tuple[ObjectId, ...]]:
    found: dict[str, tuple[ObjectId, ...]] = {}
    for text in volumes:
        path, equals, name = text.partition("=")
        kind, slash, name = name.partition("/")
        if not (equals and slash and name and kind_of(kind) in DATA_KINDS and path.startswith("/")):
            raise CannotCheck(f"--volume takes MOUNT=configmap/NAME or MOUNT=secret/NAME, not {text!r}")
        where = posixpath.normpath(path)
        found[where] = (*found.get(where, ()), ObjectId(kind_of(kind), namespace, name))
    return found


# Formats


def _table(trials: Sequence[Trial], found: Sequence[Finding], base: Manifests) -> Iterable[str]:
    several = _are_several(workload for workload, _ in (trial.identity for trial in trials))
    sections = [(_title(*trial.identity, several), _cells(trial)) for trial in trials]
    verdict = "" if found or base.problems else _accepted(trials)
    return without_commands(_page(*printable((sections, found, verdict))))


def _page(sections: Iterable[tuple[str, list[Cells]]], found: Iterable[Finding], verdict: str) -> Iterable[str]:
    paint = painter()
    for title, cells in sections:
        yield paint(title, "title")
        yield from _fields(cells, paint)
        yield ""
    for finding in found:
        place = f"{finding.place.file}:{finding.place.line}: " if finding.place else ""
        style = "bad" if finding.level == "error" else "title"
        yield f"{place}{paint(finding.level, style)}: {finding.message} [{finding.rule}]"
        yield f"    {CHECK_RULES[finding.rule].advice}"
    if verdict:
        yield verdict


def _accepted(trials: Sequence[Trial]) -> str:
    unknown = sorted(frozenset().union(*(trial.fields_in("unknown") for trial in trials)))
    if not unknown:
        return "Nothing to correct: the application would start with this."
    return f"Nothing to correct in the input, which does not show the values of: {', '.join(unknown)}."


Cells: TypeAlias = tuple[str, ...]

_HEADER = ("FIELD", "KEY", "OBJECT", "STATE")
_STYLES = {"live": "good", "frozen": "bad", "invalid": "bad", "missing": "bad"}


def _cells(trial: Trial) -> list[Cells]:
    return [(row.field, row.key or "-", row.object or "-", row.state) for row in trial.fields]


def _fields(cells: list[Cells], paint: Paint) -> Iterable[str]:
    def coloured(cell: str, column: int) -> str:
        return paint(cell, _STYLES.get(cell.strip(), "")) if _HEADER[column] == "STATE" else cell

    return folded_table(_HEADER, cells, coloured, width_of_output())


def _are_several(workloads: Iterable[ObjectId | None]) -> bool:
    """Whether workloads are in several namespaces, so that each has to be named with its own."""
    return len({workload.namespace for workload in workloads if workload}) > 1


def _title(workload: ObjectId | None, container: str, is_with_namespace: bool) -> str:
    if workload is None:
        return "objects without a workload"
    where = f" in namespace {workload.namespace}" if is_with_namespace and workload.namespace else ""
    return f"{workload}{where}, container {container}"


def _json(trials: Sequence[Trial], found: Sequence[Finding], base: Manifests) -> Iterable[str]:
    answer: dict[str, Any] = {
        "schema": 1,
        "fields": [{**as_plain(row), **_named(*trial.identity)} for trial in trials for row in trial.fields],
        "findings": [{**finding_as_dict(each), "key": each.key or None} for each in found],
        "problems": [problem_as_dict(each) for each in base.problems],
    }
    return [json.dumps(answer, indent=2)]


def _named(workload: ObjectId | None, container: str) -> dict[str, str | None]:
    namespace = workload.namespace or None if workload else None
    return {"workload": str(workload) if workload else None, "namespace": namespace, "container": container or None}


def _sarif(_: Sequence[Trial], found: Sequence[Finding], base: Manifests) -> Iterable[str]:
    return [json.dumps(sarif(found, CHECK_RULES, base.problems, ()), indent=2)]


def _github(_: Sequence[Trial], found: Sequence[Finding], base: Manifests) -> Iterable[str]:
    return github(found, CHECK_RULES, base.problems, ())


Format = Callable[[Sequence[Trial], Sequence[Finding], Manifests], Iterable[str]]
_FORMATS: dict[str, Format] = {"table": _table, "json": _json, "sarif": _sarif, "github": _github}


def _show_changes(found: Changes, output: str) -> int:
    if output == "json":
        alone = [{**_named(each.workload, each.container), "only_in": each.only_in} for each in found.not_compared]
        answer = {"schema": 1, "changes": found.changes, "unknown": found.unknown, "not_compared": alone}
        print(json.dumps(as_plain(answer)))
    else:
        for line in without_commands(_changes(printable(found))):
            print(line)
    return ACCEPTED


def _changes(found: Changes) -> Iterable[str]:
    if found.nothing_compared:
        yield "No workload is in both versions: nothing was compared."
    elif found.changes:
        rows = [(each.field, _WHEN[each.when]) for each in found.changes]
        yield from folded_table(("FIELD", "CHANGES"), rows, lambda cell, _: cell, width_of_output())
    else:
        yield f"No {'known ' * bool(found.unknown)}field would change."
    if found.unknown:
        yield f"Not known, because their values are not in the input: {', '.join(found.unknown)}."
    several = _are_several(each.workload for each in found.not_compared)
    for each in found.not_compared:
        title = _title(each.workload, each.container, several)
        yield f"Not compared, because only {each.only_in.upper()} has it: {title}."
    if len({each.workload is None for each in found.not_compared}) > 1:
        yield "Give the workloads as PATH: objects of the PATHs complete both versions."


_WHEN = {"live": "while the process runs", "restart": "at the next start of the process"}
