# All commands for contributors and CI. They need Python 3.11 or newer and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# The tests wait more than they compute, so twice as many processes as cores are busy with them. JOBS=0: one process.
JOBS ?= $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')
PARALLEL = --numprocesses=$(JOBS) --dist=worksteal
PYTEST := $(BIN)/python -m pytest
VERSIONS := test-3.11 test-3.12 test-3.13 test-3.14

.PHONY: help editable demo test check docs bench soak differential coverage mutants test-all test-newer $(VERSIONS) test-lowest test-wheel dist clean
.DEFAULT_GOAL := help

help:
	@echo "make demo         a small web application follows its ConfigMap and its Secret"
	@echo "make test         run all tests (JOBS=0: in one process)"
	@echo "make check        run ruff, mypy --strict and pyright"
	@echo "make test-all     run the tests with every installed Python from 3.11 on"
	@echo "make test-newer   run the tests of what depends on the interpreter with every newer Python"
	@echo "make test-lowest  run the tests with the lowest versions of all dependencies"
	@echo "make test-wheel   run the tests with the built wheel, without src/"
	@echo "make dist         build the sdist and the wheel in dist, and check what they say of themselves"
	@echo "make docs         build the documentation in docs/_build/html"
	@echo "make bench        measure everything and write docs/performance.md"
	@echo "make soak         ten minutes of random updates, faults and forks"
	@echo "make differential hold every way in against pydantic-settings (100,000 contents; ARGS=another number)"
	@echo "make coverage     run the tests and list the branches that they do not reach"
	@echo "make mutants      change the core in small ways and list the changes that no test notices (hours; ARGS=names)"

$(BIN)/python:
	@echo "[1/3] creating $(VENV) with $(PYTHON)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "liveconfig needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "[2/3] updating pip"
	@$(PIP) install --quiet --upgrade "pip>=25.1"
	@echo "[3/3] installing liveconfig and its dependencies (about ten seconds)"
	@$(PIP) install --quiet --editable ".[yaml]"
	@touch $@

$(VENV)/.developer: pyproject.toml $(VENV)/.installed
	@echo "[3/3] installing the tools and clients for the tests (about a minute)"
	@$(PIP) install --quiet --group dev
	@touch $@

# `pip install .` in this environment replaces the editable installation by a copy, which later edits do not change.
editable: $(VENV)/.installed
	@$(BIN)/python tools/is_editable.py || $(PIP) install --quiet --no-deps --editable .

demo: editable
	@$(BIN)/liveconfig demo

test: editable $(VENV)/.developer
	$(PYTEST) -q $(PARALLEL) $(ARGS)

check: $(VENV)/.developer
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright

test-all: $(VERSIONS)

# What depends on the interpreter: threads, forks, exits, signals, event loops, frameworks.
INTERPRETER := tests/engine tests/watching tests/delivery tests/processes tests/reports tests/integrations
test-newer: PART := $(INTERPRETER)
test-newer: test-3.12 test-3.13 test-3.14

$(VERSIONS): test-3.%:
	@sh tools/with-python.sh "$(MAKE)" "$*" "$(PART) $(ARGS)"

test-lowest:
	@sh tools/lowest.sh "$(PYTHON)" "$(PARALLEL) $(ARGS)"

test-wheel: $(VENV)/.developer
	@sh tools/wheel.sh "$(BIN)" "$(PYTHON)" "$(PARALLEL) $(ARGS)"

dist: $(VENV)/.developer
	rm -rf dist
	$(BIN)/python -m build --quiet --outdir dist .
	$(BIN)/python -m twine check --strict dist/*

docs: $(VENV)/.developer
	$(BIN)/sphinx-build -E -W --keep-going -q -b html docs docs/_build/html

bench: $(VENV)/.developer
	$(BIN)/python -m benchmarks $(ARGS)

soak: $(VENV)/.developer
	$(BIN)/python -m benchmarks.soak $(ARGS)

differential: $(VENV)/.developer
	LIVECONFIG_DIFFERENTIAL="$(or $(ARGS),100000)" $(PYTEST) -q tests/loading/test_differential.py

coverage: $(VENV)/.developer
	rm -rf .coverage-data
	mkdir -m 1777 .coverage-data
	$(BIN)/python -m coverage run -m pytest -q $(PARALLEL) $(ARGS)
	$(BIN)/python -m coverage combine -q
	$(BIN)/python -m coverage report --skip-covered

mutants: $(VENV)/.developer
	@$(PIP) install --quiet --group mutation
	$(BIN)/mutmut run $(ARGS)

clean:
	rm -rf mutants .coverage-data $(VENV) .venv-* dist build docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
