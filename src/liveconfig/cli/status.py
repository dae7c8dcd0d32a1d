"""``liveconfig status``: whether every process of every pod uses what the cluster holds."""

from __future__ import annotations

import argparse

from liveconfig.cli._rollout.arguments import add_shared_arguments
from liveconfig.cli._rollout.call import Call, guarded
from liveconfig.cli._rollout.output import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its arguments."""
    parser.description = (
        "Asks each pod of a workload, or each pod that uses a ConfigMap or Secret: does its disk hold what the cluster "
        "holds, and does every process use what is on disk? It runs kubectl, and `liveconfig ps` in the containers."
    )
    add_shared_arguments(parser, timeout=30.0)


def run(arguments: argparse.Namespace) -> int:
    """Query the pods once, and print the table.

    Returns:
        0 if every row that counts is in sync, 1 if not, 2 if the cluster does not answer.
    """
    return guarded("status", lambda: _status(Call(arguments)))


def _status(call: Call) -> int:
    pods = call.pods()
    for _ in call.ask(pods, again=lambda _: False):
        pass
    return show(call, pods)
