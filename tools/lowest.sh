#!/bin/sh
# The tests of the core with the lowest releases that pyproject.toml declares.
# Usage: lowest.sh PYTHON [ARGS]
set -eu
python=$1
args=${2:-}
venv=.venv-lowest
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
lowest=$("$venv/bin/python" - <<'PYTHON'
import tomllib

project = tomllib.load(open("pyproject.toml", "rb"))["project"]
wanted = project["dependencies"] + project["optional-dependencies"]["yaml"]
print(" ".join(each.replace(">=", "==") for each in wanted))
PYTHON
)
echo "installing $lowest"
# shellcheck disable=SC2086
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check $lowest hypothesis pytest --editable .
# shellcheck disable=SC2086
exec "$venv/bin/python" -m pytest -q --ignore=tests/processes --ignore=tests/servers --ignore=tests/integrations \
  --ignore=tests/docs --ignore=tests/cli --ignore=tests/test_examples.py --ignore=tests/test_benchmarks.py \
  --ignore=tests/faults --ignore=tests/test_conftest.py --ignore=tests/test_architecture.py $args
