"""A double of kubectl: it answers from the files of a folder, and runs commands of `exec` as processes of this machine.

The folder (variable ``CLUSTER``) holds ``state.json``: ``objects`` (by ``kind/name``), ``pods`` (a list), ``containers``
(by ``pod/container``: the environment of its processes, or what is wrong with it), and ``errors`` (by verb or
``verb kind``: the line that kubectl would print). Each call is noted in ``calls``.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["CLUSTER"])
STATE = json.loads((FOLDER / "state.json").read_text())


def fail(line: str, code: int = 1) -> None:
    print(line, file=sys.stderr)
    sys.exit(code)


def matches(pod: dict, selector: str) -> bool:
    if " in " in selector:
        label, _, values = selector.partition(" in ")
        return pod["metadata"]["labels"].get(label) in values.strip("()").split(",")
    wanted = dict(term.split("=") for term in selector.split(","))
    return wanted.items() <= pod["metadata"]["labels"].items()


def get(arguments: list[str]) -> None:
    what, *rest = arguments
    kind, _, name = what.partition("/")
    names = [name] if name else [each for each in rest[: rest.index("-o")] if not each.startswith("-")]
    if kind in STATE.get("raw", {}):
        print(STATE["raw"][kind])
        return
    if kind == "pods":
        selector = rest[rest.index("-l") + 1] if "-l" in rest else ""
        items = [pod for pod in STATE["pods"] if not selector or matches(pod, selector)]
        print(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        return
    found = [STATE["objects"].get(f"{kind}/{each}") for each in names]
    if None in found and "--ignore-not-found" not in rest:
        fail(f'Error from server (NotFound): {kind}s "{names[found.index(None)]}" not found')
    found = [each for each in found if each is not None]
    if len(names) == 1:
        print(json.dumps(found[0]) if found else "")
    else:
        print(json.dumps({"apiVersion": "v1", "kind": "List", "items": found}))


def in_the_container(output: bytes) -> bytes:
    """The output of `liveconfig ps`, which sees only the processes of its container there, and those of all tests here."""
    try:
        whole = json.loads(output)
    except ValueError:
        return output
    processes = [each for each in whole["processes"] if of_this_test(each["pid"])]
    return json.dumps({**whole, "processes": processes}).encode()


def of_this_test(pid: int) -> bool:
    """Whether a process was started by the test that has this folder; True if that cannot be known."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return True
    return f"CLUSTER={FOLDER}".encode() in environment.split(b"\0")


def execute(arguments: list[str]) -> None:
    pod, _, container, _, _, *command = arguments
    place = STATE["containers"][f"{pod}/{container}"]
    if "deaf" in place:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while "endless" in place:
        sys.stdout.write("x" * 100_000)
    if "hang" in place:
        time.sleep(60)
    if "plugin" in place:  # a plugin that keeps the pipes open after kubectl has ended
        subprocess.run(["sleep", "60"], check=False)
    if "output" in place:
        print(place["output"])
        return
    if "error" in place:
        fail(place["error"], place.get("code", 1))
    program = command[0]
    if program not in place.get("programs", ["liveconfig"]):
        fail(f'error: exec: "{program}": executable file not found in $PATH: unknown', 127)
    if "daemon" in place:  # what stays for the next call, as a connection does, with the pipes of this one
        subprocess.Popen(["sleep", "60"], start_new_session=True)
    print("Defaulted container is a warning of kubectl", file=sys.stderr)
    arguments = command[1:] if program != "liveconfig" else ["-m", "liveconfig", *command[1:]]
    environment = {**os.environ, **place.get("environment", {})}
    done = subprocess.run([sys.executable, *arguments], env=environment, check=False, stdout=subprocess.PIPE)
    sys.stdout.buffer.write(in_the_container(done.stdout) if "ps" in command else done.stdout)
    if done.returncode:
        fail(f"command terminated with exit code {done.returncode}", done.returncode)


def main() -> None:
    arguments = sys.argv[1:]
    with (FOLDER / "calls").open("a") as calls:
        calls.write(json.dumps(arguments) + "\n")
    end = arguments.index("--") if "--" in arguments else len(arguments)
    for option in ("-n", "--context"):
        if option in arguments[:end]:
            at = arguments.index(option)
            del arguments[at : at + 2]
            end -= 2
    verb, *rest = arguments
    if verb in STATE.get("hanging", ()):
        time.sleep(60)
    for name in (f"{verb} {rest[0].partition('/')[0]}", verb):
        if name in STATE["errors"]:
            fail(STATE["errors"][name])
    if verb == "get":
        get(rest)
    elif verb == "exec":
        execute(rest)
    elif verb == "annotate":
        (FOLDER / "annotated").touch()
    else:
        fail(f"error: unknown command {verb!r}")


main()
