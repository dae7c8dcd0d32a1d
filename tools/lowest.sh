#!/bin/sh
# Runs the tests with the lowest releases that pyproject.toml declares, including those of the extras. Old releases
# warn about names that newer releases have changed, so warnings are not errors here.
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
wanted = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
print(" ".join(each.replace(">=", "==") for each in wanted))
PYTHON
)
echo "installing $lowest"
# shellcheck disable=SC2086
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check $lowest --group test --group web --group clients \
  --editable .
# shellcheck disable=SC2086
exec "$venv/bin/python" -m pytest -q -W default --ignore=tests/processes --ignore=tests/servers --ignore=tests/docs \
  --ignore=tests/cli --ignore=tests/packaging --ignore=tests/typing --ignore=tests/test_benchmarks.py \
  --ignore=tests/test_examples.py --ignore=tests/test_architecture.py $args
