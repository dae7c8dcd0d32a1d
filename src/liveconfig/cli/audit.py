"""``liveconfig audit``: which workloads use each ConfigMap and Secret, which uses are frozen, and what is wrong."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from liveconfig._manifests import (
    DATA_KINDS,
    LEVELS,
    RULES,
    USED_BY,
    DataObject,
    Finding,
    Manifests,
    ObjectId,
    audit,
    kind_of,
    others_than,
    used_by,
    users_of,
    without_ignored,
)
from liveconfig._terminal import painter, printable, width_of_output, without_commands
from liveconfig.cli._audit_input import CannotAudit, Known, Progress, read_input
from liveconfig.cli._audit_markdown import markdown
from liveconfig.cli._audit_page import page
from liveconfig.cli._audit_report import Report, after_change, rows_of
from liveconfig.cli._kubectl import KubectlMissing
from liveconfig.cli._output import Identity, baseline, finding_as_dict, github, in_baseline, problem_as_dict, sarif

WELL, FOUND, UNREADABLE = range(3)

_EPILOG = (
    "Exit code: 0 nothing at or above --fail-on, and always with --uses and --annotate; 1 findings; 2 input that "
    "cannot be read, or no object of the name that --uses asks for. Silence one rule with the annotation "
    'liveconfig.dev/ignore-RULE: "reason", on the workload or on the ConfigMap or Secret. '
    f"Rules: {', '.join(RULES)}."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its arguments."""
    parser.description = (
        "Shows who uses each ConfigMap and Secret, whether that use is LIVE (the mounted files change in place) or "
        "FROZEN (it takes a restart), and what is wrong. No value is ever shown."
    )
    parser.epilog = _EPILOG
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="manifests in YAML or JSON: files, directories, or - for standard input "
        "(helm template CHART | liveconfig audit -)",
    )
    _add_cluster(parser.add_argument_group("the cluster"))
    _add_answer(parser.add_argument_group("the question and the answer"))
    _add_findings(parser.add_argument_group("the findings"))


def _add_cluster(group: Any) -> None:
    group.add_argument("--cluster", action="store_true", help="look at a cluster too, through kubectl get")
    which = group.add_mutually_exclusive_group()
    which.add_argument(
        "-n", "--namespace", default="", metavar="NS", help="the namespace; also for manifests that name none"
    )
    which.add_argument("-A", "--all-namespaces", action="store_true", help="all namespaces of the cluster")
    group.add_argument("--context", default="", metavar="C", help="the context of the kubeconfig")


def _add_answer(group: Any) -> None:
    group.add_argument(
        "--uses",
        metavar="KIND/NAME",
        help="only configmap/NAME or secret/NAME: who uses it, and what to do after a change",
    )
    group.add_argument(
        "--annotate", action="store_true", help=f"print the annotation {USED_BY} of each object as it should be"
    )
    group.add_argument(
        "-o",
        dest="format",
        choices=_FORMATS,
        default="table",
        help="table (default), json, sarif (2.1.0), github (annotations of a workflow), markdown (a comment)",
    )
    group.add_argument(
        "--output", metavar="FILE", help="write the answer to this FILE; the format is -o, unlike in other commands"
    )


def _add_findings(group: Any) -> None:
    group.add_argument(
        "--fail-on",
        choices=(*LEVELS, "never"),
        default="error",
        help="exit with code 1 for a finding of this level or a more serious one (default: error)",
    )
    group.add_argument(
        "--baseline", metavar="FILE", help="leave out the findings of this file, written earlier with -o json"
    )
    group.add_argument(
        "--ref-path",
        action="append",
        default=[],
        metavar="KIND.GROUP:PATH",
        help="a field of a custom resource that names a ConfigMap or Secret, as in "
        "Widget.example.com:spec.tls[].secretName; may be repeated",
    )


def run(given: argparse.Namespace) -> int:
    """Run the audit and print the report.

    Returns:
        0; 1 for findings at or above ``--fail-on``; 2 for input that cannot be read.
    """
    progress = Progress()
    try:
        if given.output in _FORMATS:
            raise CannotAudit(f"--output takes a file; the format is -o {given.output}")
        known = read_input(given, progress)
        progress.clear()
        return _answer(given, known)
    except (CannotAudit, KubectlMissing, ModuleNotFoundError) as error:
        progress.clear()
        print(f"liveconfig audit: {printable(str(error))}", file=sys.stderr)
        return UNREADABLE


# The report


def _answer(given: argparse.Namespace, known: Known) -> int:
    for problem in known.manifests.problems:
        print(f"liveconfig audit: {printable(str(problem))}", file=sys.stderr)
    if _nothing_read(known):
        print(f"liveconfig audit: {printable('; '.join(('nothing was read', *known.notes)))}", file=sys.stderr)
        if given.format == "table":
            return UNREADABLE
    elif not known.manifests.count and given.paths:
        where = printable(", ".join(given.paths))
        print(f"liveconfig audit: no object with `apiVersion` and `kind` is in {where}", file=sys.stderr)
    code = WELL
    if given.annotate:
        _write(without_commands(_annotations(known)), given.output)
    else:
        report = _report(given, known)
        _write(_lines(given, report), given.output)
        if given.output is not None:
            print(f"liveconfig audit: {report.summary}. Written to {given.output}.", file=sys.stderr)
        if given.uses is None and _fails(report.findings, given.fail_on):
            code = FOUND
    return UNREADABLE if known.manifests.problems or _nothing_read(known) else code


def _nothing_read(known: Known) -> bool:
    """Whether no input could be read, or all of it is a chart or kustomization."""
    left_out = known.manifests.problems or any(each.render for each in known.manifests.skipped)
    return not known.manifests.count and bool(left_out)


def _fails(findings: Iterable[Finding], fail_on: str) -> bool:
    failing = LEVELS[: LEVELS.index(fail_on) + 1] if fail_on != "never" else ()
    return any(finding.level in failing for finding in findings)


def _write(lines: Iterable[str], file: str | None) -> None:
    text = "".join(f"{line}\n" for line in lines)
    if file is None:
        sys.stdout.write(text)
        return
    try:
        with open(file, "w", encoding="utf-8", errors="backslashreplace") as output:
            output.write(text)
    except OSError as error:
        problem = f"{file} cannot be written: {error.strerror}"
    else:
        return
    raise CannotAudit(problem)


def _report(given: argparse.Namespace, known: Known) -> Report:
    manifests = known.manifests
    found = without_ignored(audit(manifests, cluster=known.cluster, unlisted=known.unlisted), manifests)
    before = _baseline(given.baseline)
    findings = [each for each in found.findings if not in_baseline(each, before)]
    silenced = found.count + len(found.findings) - len(findings)
    rows = rows_of(manifests)
    report = Report(rows, findings, known.notes, manifests.problems, _words(manifests), silenced)
    return report if given.uses is None else _about(given, manifests, report)


def _baseline(file: str | None) -> Container[Identity]:
    if file is None:
        return ()
    try:
        with open(file, encoding="utf-8") as text:
            return baseline(json.load(text))
    except OSError as error:
        problem = f"{file}: {(error.strerror or '').lower()}"
    except ValueError:
        problem = f"{file} is not what `liveconfig audit -o json` writes"
    raise CannotAudit(problem)


def _words(manifests: Manifests) -> str:
    empty = manifests.empty_files
    files = f", {empty:,} file{'s' * (empty != 1)} without any" * bool(empty)
    return f"{manifests.count:,} object{'s' * (manifests.count != 1)} read{files}"


# One object


def _about(given: argparse.Namespace, manifests: Manifests, report: Report) -> Report:
    """Return the report about one object."""
    named = _named(given.uses, given.namespace, manifests)
    rows = [row for row in report.rows if row.object in named]
    findings = [finding for finding in report.findings if finding.object in named]
    subject = named[0] if len(named) == 1 else named[0]._replace(namespace="")
    defined = [_where(data) for each in named for data in manifests.known(each)]
    about = ", ".join(defined) or "not in the input, only named there"
    after = after_change(rows, manifests, given.context)
    return replace(report, rows=rows, findings=findings, silenced=0, subject=subject, about=about, after=after)


def _where(data: DataObject) -> str:
    place = f"{data.place.file}:{data.place.line}" if data.place else "in the cluster"
    return f"{place}, created by {data.created_by}" if data.created_by else place


def _named(given: str, namespace: str, manifests: Manifests) -> list[ObjectId]:
    """Return the objects of a name, one for each namespace."""
    kind, slash, name = given.partition("/")
    if kind_of(kind) not in DATA_KINDS or not (slash and name):
        raise CannotAudit(f"--uses takes configmap/NAME or secret/NAME, not {given!r}")
    known = {each.id for each in manifests.objects} | {use.object for use in manifests.uses if use.object}
    inside = {each for each in known if each.kind == kind_of(kind) and namespace in ("", each.namespace)}
    found = sorted(each for each in inside if each.name == name)
    if not found:
        close = get_close_matches(name, sorted(each.name for each in inside), n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        where = f" in namespace {namespace}" if namespace else " in the input" * (not close)
        raise CannotAudit(f"there is no {given}{where}{hint}")
    return found


def _annotations(known: Known) -> Iterator[str]:
    """Yield a document for each object, to merge into its manifest; without apiVersion it cannot be applied."""
    manifests, users = known.manifests, users_of(known.manifests)
    workloads = {each.id for each in manifests.workloads}
    for data in manifests.objects:
        others = None if known.cluster else others_than(workloads, users[data.id], data.id)
        value = "" if data.created_by else used_by(data, users[data.id], others)
        if value or USED_BY in data.annotations:
            yield from _annotation(data, value)


def _annotation(data: DataObject, value: str) -> Iterator[str]:
    yield "---"
    if data.place:
        yield f"# {printable(data.place.file)}:{data.place.line}"
    yield f"kind: {data.id.kind}"
    yield "metadata:"
    yield f"  name: {json.dumps(data.id.name)}"
    if data.id.namespace:
        yield f"  namespace: {json.dumps(data.id.namespace)}"
    yield "  annotations:"
    yield f"    {USED_BY}: {'|' if value else json.dumps('')}"
    yield from (f"      {printable(line)}" for line in value.split("\n")[:-1])


# Formats


def _lines(given: argparse.Namespace, report: Report) -> Iterable[str]:
    if given.format == "table" and given.output is None:
        return page(report, painter(), width_of_output())
    return _FORMATS[given.format](report)


def _table(report: Report) -> Iterable[str]:
    return page(report, lambda text, _: text, None)


def _json(report: Report) -> Iterable[str]:
    answer: dict[str, Any] = {
        "schema": 1,
        "uses": [row.as_dict() for row in report.rows],
        "findings": [finding_as_dict(each) for each in report.findings],
        "problems": [problem_as_dict(each) for each in report.problems],
        "notes": list(report.notes),
    }
    if report.after is not None:
        answer["restart"] = list(report.after.restart)
    return [json.dumps(answer, indent=2)]


def _sarif(report: Report) -> Iterable[str]:
    return [json.dumps(sarif(report.findings, RULES, report.problems, report.notes), indent=2)]


def _github(report: Report) -> Iterable[str]:
    return github(report.findings, RULES, report.problems, report.notes)


_FORMATS = {"table": _table, "json": _json, "sarif": _sarif, "github": _github, "markdown": markdown}
