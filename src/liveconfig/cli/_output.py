"""Output formats of findings: JSON, SARIF 2.1.0, annotations for GitHub, and tables in Markdown."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import quote

from liveconfig._distribution import __version__
from liveconfig._manifests import STANDARD_INPUT, Finding, ObjectId, Place, Problem, Rule
from liveconfig._terminal import printable

_SARIF = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def finding_as_dict(finding: Finding) -> dict[str, Any]:
    """Return a finding as data for JSON."""
    about = finding.workload or finding.object
    return {
        "rule": finding.rule,
        "level": finding.level,
        "object": _name(finding.object),
        "workload": _name(finding.workload),
        "namespace": about.namespace or None if about else None,
        "field": finding.field or None,
        "file": finding.place.file if finding.place else None,
        "line": finding.place.line if finding.place else None,
        "message": finding.message,
    }


def problem_as_dict(problem: Problem) -> dict[str, Any]:
    """Return an input problem as data for JSON."""
    return {"file": problem.file, "line": problem.line, "message": problem.message}


def _name(of: ObjectId | None) -> str | None:
    return None if of is None else str(of)


Identity: TypeAlias = tuple[Any, ...]


def baseline(document: Any) -> frozenset[Identity]:
    """Return the identities of the findings of a JSON document.

    Raises:
        ValueError: It is not a document of this kind.
    """
    findings = document.get("findings") if isinstance(document, dict) else None
    if not isinstance(findings, list) or not all(isinstance(each, dict) for each in findings):
        raise ValueError("no findings")
    return frozenset(_identity(each, each.get("namespace", _ANY)) for each in findings)


def in_baseline(finding: Finding, before: Container[Identity]) -> bool:
    """Whether the baseline has a finding with the same rule, object, workload and field, and no other namespace."""
    now = finding_as_dict(finding)
    return _identity(now, now["namespace"]) in before or _identity(now, _ANY) in before


_ANY = "*"


def _identity(finding: Mapping[str, Any], namespace: Any) -> Identity:
    return (*(str(finding.get(name)) for name in ("rule", "object", "workload", "field")), str(namespace))


# GitHub Actions


def github(
    findings: Iterable[Finding], rules: Mapping[str, Rule], problems: Iterable[Problem], notes: Iterable[str]
) -> Iterator[str]:
    """Yield the workflow commands that make annotations in a pull request."""
    for problem in problems:
        yield _command("error", problem.message, "unreadable", problem.file, problem.line)
    for finding in findings:
        level = "notice" if finding.level == "note" else finding.level
        place = finding.place or Place("", 0)
        text = f"{finding.message}. {rules[finding.rule].advice}"
        yield _command(level, text, finding.rule, place.file, place.line)
    for note in notes:
        yield _command("notice", note, "", "", None)


def _command(level: str, message: str, title: str, file: str, line: int | None) -> str:
    given = {"file": "" if file == STANDARD_INPUT else file, "line": line if file else None, "title": title}
    properties = ",".join(f"{name}={_property(str(value))}" for name, value in given.items() if value)
    return f"::{level}{' ' * bool(properties)}{properties}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


# SARIF


def sarif(
    findings: Sequence[Finding], rules: Mapping[str, Rule], problems: Sequence[Problem], notes: Iterable[str]
) -> dict[str, Any]:
    """Return one SARIF run, for GitHub's code scanning and others."""
    names = list(rules)
    driver = {"name": "liveconfig", "version": __version__, "rules": [_rule(each) for each in rules.values()]}
    run = {
        "tool": {"driver": driver},
        "invocations": [
            {
                "executionSuccessful": not problems,
                "toolExecutionNotifications": [
                    *(_notification("error", each.message, _location(each.file, each.line)) for each in problems),
                    *(_notification("note", note, None) for note in notes),
                ],
            }
        ],
        "results": [_result(each, names.index(each.rule)) for each in findings],
    }
    return {"$schema": _SARIF, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.title[0].upper() + rule.title[1:]},
        "help": {"text": rule.advice},
        "defaultConfiguration": {"level": rule.level},
    }


def _result(finding: Finding, index: int) -> dict[str, Any]:
    locations = [_location(finding.place.file, finding.place.line)] if finding.place else [{}]
    named = [each for each in (finding.workload, finding.object) if each is not None]
    locations[0]["logicalLocations"] = [{"fullyQualifiedName": _qualified(each), "kind": "resource"} for each in named]
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": finding.level,
        "message": {"text": finding.message},
        "locations": locations,
        "partialFingerprints": {"liveconfigFinding/v1": fingerprint(finding)},
    }


def fingerprint(finding: Finding) -> str:
    """Return an identity of a finding that does not depend on its line."""
    parts = (finding.rule, *map(_qualified, filter(None, (finding.workload, finding.object))), finding.field)
    return hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()


def _qualified(of: ObjectId) -> str:
    return f"{of.namespace}/{of}" if of.namespace else str(of)


def _location(file: str, line: int | None) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(file)}}
    if line:
        physical["region"] = {"startLine": line}
    return {"physicalLocation": physical}


def _uri(file: str) -> str:
    path = os.path.normpath(file)
    return ("file://" if os.path.isabs(path) else "") + quote(os.fsencode(path))


def _notification(level: str, text: str, location: dict[str, Any] | None) -> dict[str, Any]:
    return {"level": level, "message": {"text": text}, **({"locations": [location]} if location else {})}


# Markdown


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield f"| {' | '.join(header)} |"
    yield f"|{' --- |' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def code(text: str) -> str:
    """Return a text as code; empty for an empty one."""
    inner = re.sub(r"\\*\|", r"\\|", _on_one_line(text).replace("`", ""))
    return f"`{inner}`" if inner else ""


def plain(text: str) -> str:
    """Escape a text: no markup, no mention of a person, no end of a table cell."""
    return re.sub(r"([\\`*_{}\[\]<>#|@~])", r"\\\1", _on_one_line(text))


def _on_one_line(text: str) -> str:
    return str(printable(" ".join(text.split())))
