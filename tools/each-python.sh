#!/bin/sh
# Runs the tests with every installed Python, each in its own virtual environment.
# Usage: each-python.sh MAKE ARGS MINOR...   (12 means Python 3.12)
set -eu
make=$1
args=$2
shift 2
found=""
for minor in "$@"; do
  for python in "python3.$minor" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$minor".*/bin/python3; do
    if "$python" -c 'import venv' 2>/dev/null; then
      found="$found $python"
      break
    fi
  done
done
[ -n "$found" ] || { echo "no Python of 3.$* was found" >&2; exit 1; }
for python in $found; do
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  echo "== Python $version"
  "$make" test PYTHON="$python" VENV=".venv-$version" ARGS="$args"
done
