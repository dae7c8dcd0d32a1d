#!/bin/sh
# Runs the tests with the wheel that users get: built from the sdist, installed in its own environment, and tested in the
# unpacked sdist without its src/.
# Usage: wheel.sh BIN PYTHON [ARGS]
set -eu
bin=$1
python=$2
args=${3:-}
venv=$PWD/.venv-wheel
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
echo "building the sdist, and the wheel from it"
"$bin/python" -m build --outdir "$place/dist" . >"$place/log" 2>&1 || { cat "$place/log"; exit 1; }
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
echo "installing $(basename "$place"/dist/*.whl) into .venv-wheel"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --group dev
wheel=$(echo "$place"/dist/*.whl)
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$wheel[yaml]"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps "$wheel"
"$venv/bin/python" -m pip check
tar -xzf "$place"/dist/*.tar.gz -C "$place"
cd "$place"/kube_liveconfig-*/
rm -rf src
"$venv/bin/python" -W error -c "import liveconfig"
# shellcheck disable=SC2086
"$venv/bin/python" -m pytest -q --ignore=tests/test_architecture.py --ignore=tests/packaging $args
