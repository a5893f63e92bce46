# `make search` and `make test` set up what is missing; nothing else is needed than Python 3.11, git and make.
PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.installed
RUN := runs/miniature-$(shell date +%Y%m%d-%H%M%S)

.PHONY: setup search test unit lint lock

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $(STAMP)

search: setup
	$(BIN)/ama-ray search ama_ray/miniature/run.yaml --out $(RUN)

test: setup lint
	$(BIN)/pytest

unit: setup
	$(BIN)/pytest -m "not engine"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet --dry-run --ignore-installed --report .venv-lock/report.json ".[cpu,dev,lm-eval]" "torch==2.13.0+cpu"
	$(PYTHON) lock.py .venv-lock/report.json > requirements.lock
	rm -r .venv-lock
