# Every target sets up what is missing; nothing else is needed than Python, git and make.
# `make unit PYTHON=python3.12` uses another Python, in an environment of its own.
PYTHON ?= python3.11
# The lock has a build of PyTorch for CPUs. TORCH=torch==2.13.0 takes the one with CUDA, where pip finds no other.
TORCH ?= $(shell grep '^torch==' requirements.lock)
# The hashes are of what pip takes on Linux x86-64; elsewhere it takes other files.
LOCKED := grep -v '^torch==' requirements.lock$(if $(filter-out Linux-x86_64,$(shell uname -s)-$(shell uname -m)), | sed 's/ --hash=.*//')
VENV := .venv$(shell $(PYTHON) -c 'import sys; print("" if sys.version_info[1] == 11 else "-3.%d" % sys.version_info[1])')
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup search test test-all architectures unit lint lock docs

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(LOCKED) | $(BIN)/pip install --quiet --no-deps -r /dev/stdin
	$(BIN)/pip install --quiet --no-warn-conflicts '$(TORCH)'
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $(STAMP)

search: setup
	$(BIN)/ama-ray demo

test: setup lint
	$(BIN)/pytest -n 2 --hypothesis-profile quick -m 'not slow'

test-all: setup lint
	$(BIN)/pytest -n 2
	$(BIN)/pytest -n 2 --dist load --hypothesis-profile fuzz tests/test_malformed_files.py -k random

architectures: setup
	$(BIN)/pytest -n 2 --dist load -m architectures

unit: setup
	$(BIN)/pytest -n 2 --hypothesis-profile quick -m 'not engine and not long and not slow'

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet --dry-run --ignore-installed --report .venv-lock/report.json '.[cpu,dev,lm-eval]' '$(TORCH)'
	$(PYTHON) -m scripts.lock .venv-lock/report.json | grep -v '^torch==' > .venv-lock/pins
	for python in python3.11 python3.12 python3.13; do \
		$$python -m venv .venv-lock/$$python && .venv-lock/$$python/bin/pip install --quiet --dry-run \
			--ignore-installed --no-deps --report .venv-lock/$$python.json -r .venv-lock/pins || exit 1; \
	done
	$(PYTHON) -m scripts.lock .venv-lock/report.json .venv-lock/python3.1*.json > .venv-lock/requirements.lock
	mv .venv-lock/requirements.lock requirements.lock
	rm -r .venv-lock

# The pages as a site, in build/site/; its tools are in an environment of their own. A link that leads nowhere fails.
docs: .venv-docs/.installed
	.venv-docs/bin/mkdocs build --strict

.venv-docs/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/pip install --quiet --upgrade 'pip>=25.1'
	.venv-docs/bin/pip install --quiet --group docs
	touch $@
