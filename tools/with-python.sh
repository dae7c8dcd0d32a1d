#!/bin/sh
# Runs the tests with one Python, in a virtual environment of its own. Without that Python, says so and succeeds.
# Usage: with-python.sh MAKE MINOR ARGS   (12 means Python 3.12)
set -eu
make=$1
minor=$2
args=$3

for python in "python3.$minor" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$minor".*/bin/python3; do
  if "$python" -c 'import venv' 2>/dev/null; then
    echo "== Python 3.$minor"
    venv=".venv-3.$minor"
    exec "$make" test PYTHON="$python" VENV="$venv" ARGS="-o cache_dir=$venv/.pytest_cache $args"
  fi
done
echo "== Python 3.$minor was not found on this machine: the tests do not run with it" >&2
