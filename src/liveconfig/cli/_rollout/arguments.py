"""The arguments that ``status`` and ``sync`` share."""

from __future__ import annotations

import argparse

from liveconfig.cli._arguments import seconds

EPILOG = (
    "Exit code 0: every row that counts is SYNCED, or nothing runs. 1: one is not. A volume that no "
    "settings class names (NOT FOLLOWED) and what is FROZEN at the value of the cluster do not count. 2: the cluster "
    "cannot be asked, the object does not exist, or a selector matches no pod. No value is read from a container or "
    "printed."
)


def add_shared_arguments(parser: argparse.ArgumentParser, *, timeout: float) -> None:
    """Add the arguments of both commands."""
    parser.epilog = EPILOG
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument(
        "target",
        nargs="?",
        default="",
        metavar="KIND/NAME",
        help="a workload (deploy/web, sts/db, job/x, pod/y), or configmap/NAME or secret/NAME: all pods that use it",
    )
    target.add_argument("-l", "--selector", default="", help="the pods with these labels, as kubectl takes them")
    parser.add_argument("-n", "--namespace", default="", metavar="NS", help="the namespace; else that of the context")
    parser.add_argument("--context", default="", help="the context of the kubeconfig")
    parser.add_argument("-c", "--container", default="", help="ask this container alone")
    parser.add_argument(
        "--python",
        default="",
        metavar="PATH",
        help="the Python interpreter in the containers (default: liveconfig, python3 or python on their PATH)",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=timeout,
        metavar="SECONDS",
        help=f"end after this time (default: {timeout:g})",
    )
    parser.add_argument(
        "-o", "--output", choices=("table", "json"), default="table", help="the format of the answer (default: table)"
    )
