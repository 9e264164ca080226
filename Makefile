# Two commands: `make run` starts the whole system, `make test` tests it. See README.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check -c .ci/constraints.txt

.PHONY: run test lint figures bench clean

run: $(VENV)/.run
	$(BIN)/hem up

test: $(VENV)/.dev
	$(BIN)/pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

figures: $(VENV)/.dev
	$(BIN)/hem evaluate -f manifests/answer-generation/benchmarks/mining-then-inference.yaml
	$(BIN)/hem evaluate -f manifests/answer-generation/benchmarks/inference-then-mining.yaml

bench: $(VENV)/.dev
	$(BIN)/pytest tests/benchmarks -m benchmark -s

clean:
	rm -rf $(VENV) build dist *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12) and "Python 3.11 or 3.12 is needed; set PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python pyproject.toml .ci/constraints.txt
	$(INSTALL) -e '.[huggingface]'
	touch $@

$(VENV)/.dev: $(VENV)/.run
	$(INSTALL) -e '.[dev]'
	touch $@
