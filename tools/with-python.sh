#!/bin/sh
# Runs the tests with one Python, in a virtual environment of its own. Without that Python, says so and succeeds. In CI,
# failed tests run once more on their own; all tests, if the first run did not come to its end.
# Usage: with-python.sh MAKE MINOR ARGS   (12 means Python 3.12)
set -eu
make=$1
minor=$2
args=$3

run() {
  "$make" test PYTHON="$python" VENV="$venv" ARGS="-o cache_dir=$venv/.pytest_cache $args $*"
}

for python in "python3.$minor" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$minor".*/bin/python3; do
  if "$python" -c 'import venv' 2>/dev/null; then
    echo "== Python 3.$minor"
    venv=".venv-3.$minor"
    run || { [ "${CI:-}" = true ] && run --last-failed --last-failed-no-failures all; }
    exit
  fi
done
echo "== Python 3.$minor was not found on this machine: the tests do not run with it" >&2
