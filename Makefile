# One entry for every chore; `make` alone lists them. Needs Python 3.11 or newer and nothing else:
# everything is installed into .venv, no root, no compiler. Another Python: make demo PYTHON=python3.12

PYTHON ?= python3
comma := ,
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
PYTEST := $(BIN)/python -m pytest

# What developers need beside Winnow. Training a reader needs more: make test EXTRAS=dev,train
EXTRAS ?= dev

# A stamp is newer than pyproject.toml when what that file asks for is installed.
RUN := $(VENV)/.run-stamp
DEV := $(VENV)/.$(subst $(comma),-,$(EXTRAS))-stamp
TRAIN := $(VENV)/.train-stamp

OFFLINE = { echo "make: the packages could not be installed. Without a network, point pip at a" \
  "folder of wheels (PIP_FIND_LINKS=DIR PIP_NO_INDEX=1 make ...)." >&2; exit 1; }

.PHONY: help demo test test-fast lint sizes docs bench model clean

help:  ## list the chores
	@sed -n 's/^\([a-z][a-z-]*\):.*## /  make \1|/p' $(firstword $(MAKEFILE_LIST)) \
	  | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: $(PYTHON) is missing or older than 3.11; name another: make PYTHON=python3.12" >&2; \
	  exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "make: $(PYTHON) cannot make environments; on Debian install python3-venv" >&2; exit 1; }

$(RUN): pyproject.toml | $(VENV)/bin/python
	@echo "Installing Winnow into $(VENV) ..."
	@$(PIP) install --editable . || $(OFFLINE)
	@touch $@

$(DEV): pyproject.toml | $(VENV)/bin/python
	@echo "Installing Winnow and its developers' tools into $(VENV) ..."
	@$(PIP) install --editable '.[$(EXTRAS)]' || $(OFFLINE)
	@touch $@ $(RUN)

$(TRAIN): pyproject.toml | $(VENV)/bin/python
	@echo "Installing Winnow and what trains a reader into $(VENV) ..."
	@$(PIP) install --editable '.[train]' || $(OFFLINE)
	@touch $@ $(RUN)

demo: $(RUN)  ## start a server, send it the messages of examples/, show its answers
	@$(BIN)/python scripts/demo.py

test: $(DEV)  ## run all tests, the fast ones first
	$(PYTEST) -m "not slow"
	$(PYTEST) -m slow

test-fast: $(DEV)  ## run the fast tests only
	$(PYTEST) -m "not slow"

lint: $(DEV)  ## check style, types, imports, docs and sizes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -m "not slow" tests/docs
	$(BIN)/python scripts/sizes.py

sizes: $(DEV)  ## print how large files and functions are, against the budget
	@$(BIN)/python scripts/sizes.py

docs: $(DEV)  ## write the reference pages that are made from the program
	$(BIN)/python scripts/cli_reference.py docs/reference/cli.md

bench: $(DEV)  ## measure what the README claims, with the peers that are installed
	$(BIN)/python -m bench

model: $(TRAIN)  ## train the shipped model again from ../shared/corpora, and write its card
	$(BIN)/python scripts/make_model.py

clean:  ## remove the environment and everything that was made
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .ruff_cache .pytest_cache \
	  .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
