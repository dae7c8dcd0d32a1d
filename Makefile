# Everything a newcomer or CI does here. Needs Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest

.PHONY: help editable demo test check docs bench soak coverage mutants test-all test-lowest test-wheel clean
.DEFAULT_GOAL := help

help:
	@echo "make demo         the main job: an application follows its ConfigMap and Secret"
	@echo "make test         every test"
	@echo "make check        ruff, mypy --strict, pyright"
	@echo "make test-all     the tests on every Python >= 3.11 that is found"
	@echo "make test-lowest  the tests with the lowest dependencies that the package declares"
	@echo "make test-wheel   the tests against the built wheel, without src/"
	@echo "make docs         the documentation, into docs/_build/html"
	@echo "make bench        the numbers, measured side by side in one run"
	@echo "make soak         ten minutes of random swaps, faults and forks"
	@echo "make coverage     the tests, and which branches they do not reach"
	@echo "make mutants      the core's code changed in small ways, and which changes no test sees (hours; ARGS=names)"

$(BIN)/python:
	@echo "[1/3] making $(VENV) with $(PYTHON)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "liveconfig needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "[2/3] updating pip"
	@$(PIP) install --quiet --upgrade "pip>=25.1"
	@echo "[3/3] installing liveconfig and what it needs (some ten seconds)"
	@$(PIP) install --quiet --editable ".[yaml]"
	@touch $@

$(VENV)/.developer: pyproject.toml $(VENV)/.installed
	@echo "[3/3] installing the tools and clients that the tests use (a minute or so)"
	@$(PIP) install --quiet --group dev
	@touch $@

# `pip install .` in this environment replaces the editable installation by a copy, which later edits do not change.
editable: $(VENV)/.installed
	@$(BIN)/python tools/is_editable.py || $(PIP) install --quiet --no-deps --editable .

demo: editable
	@$(BIN)/liveconfig demo

test: editable $(VENV)/.developer
	$(PYTEST) -q $(ARGS)

check: $(VENV)/.developer
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright

test-all:
	@sh tools/each-python.sh "$(MAKE)" "$(ARGS)"

test-lowest:
	@sh tools/lowest.sh "$(PYTHON)" "$(ARGS)"

test-wheel: $(VENV)/.developer
	@sh tools/wheel.sh "$(BIN)" "$(PYTHON)" "$(ARGS)"

docs: $(VENV)/.developer
	$(BIN)/sphinx-build -E -W --keep-going -q -b html docs docs/_build/html

bench: $(VENV)/.developer
	$(BIN)/python -m benchmarks $(ARGS)

soak: $(VENV)/.developer
	$(BIN)/python -m benchmarks.soak $(ARGS)

coverage: $(VENV)/.developer
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -q $(ARGS)
	$(BIN)/python -m coverage combine -q
	$(BIN)/python -m coverage report --skip-covered

mutants: $(VENV)/.developer
	@$(PIP) install --quiet --group mutation
	$(BIN)/mutmut run $(ARGS)

clean:
	rm -rf mutants .coverage .coverage.* $(VENV) .venv-* dist build docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
