"""The rules of ``liveconfig check``."""

from __future__ import annotations

from collections.abc import Mapping

from liveconfig._manifests import Rule

CHECK_RULES: Mapping[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "invalid-value",
            "error",
            "a value that the settings class does not accept",
            "Correct the value; until then a running application keeps its last good configuration.",
        ),
        Rule(
            "missing-field",
            "error",
            "a required field that no key feeds",
            "Add the key to an object that is mounted at one of the volumes of the class.",
        ),
        Rule(
            "missing-key",
            "error",
            "a key that the container names and the object does not have",
            "Correct the key, add it to the object, or set `optional: true`.",
        ),
        Rule(
            "missing-volume",
            "error",
            "a required volume of the class at which nothing is mounted",
            "Mount the object there. If the image holds this directory, declare the volume with `required=None`.",
        ),
        Rule(
            "too-large",
            "error",
            "more than an object or a volume may hold",
            "Split the object: a ConfigMap or Secret holds 1 MiB at most, a volume 16 MiB.",
        ),
        Rule(
            "missing-object",
            "warning",
            "an object that is mounted or sets variables and is not in the input",
            "Add its manifest to the input; until then everything it could feed is unknown.",
        ),
        Rule(
            "duplicate-object",
            "warning",
            "an object that stands in the input more than once",
            "Remove all but one, give them different namespaces, or check one environment at a time.",
        ),
        Rule(
            "not-mounted",
            "warning",
            "a volume of the class at which nothing is mounted",
            "Mount the object there, or declare the volume with `required=False`, which this rule leaves out.",
        ),
        Rule(
            "unknown-key",
            "warning",
            "a key that no field uses",
            "Correct the name of the key, or remove it.",
        ),
        Rule(
            "frozen-field",
            "warning",
            "a field that cannot change while the container runs",
            "Mount the key as a file of a whole volume, from an object that can change; "
            "if the field should be a variable, list it in `from_environment`.",
        ),
        Rule(
            "shadowed-variable",
            "warning",
            "a variable for a field that a volume feeds",
            "Remove the variable: the volume wins, and the variable keeps an old value.",
        ),
    )
}
"""The rules of ``liveconfig check`` by name."""
