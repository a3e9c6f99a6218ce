# Every target sets itself up: a fresh clone needs nothing but Python 3.11.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready-dev

# No library we start reports home; documented in the README.
export DO_NOT_TRACK := true
export MLFLOW_DISABLE_TELEMETRY := true
export GX_ANALYTICS_ENABLED := false
# Each source file is compiled once, not in each of the processes that tests and the demo start.
export PYTHONDONTWRITEBYTECODE :=

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup browser mariadb demo test proof check lint format unit clean

help:     ## list the targets
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /\1\t/' | expand -t 10

setup: $(VENV)/.ready-dev  ## make .venv with everything in it

# The marker tells a finished set-up from an interrupted one, which starts over.
$(VENV)/.ready-%: pyproject.toml constraints.txt .ci/set_up.py
	@$(PYTHON) .ci/set_up.py $*

# LIFECYCLE_OWNER ties everything that the demo starts to this make: if it dies, however it dies, they stop.
demo: $(VENV)/.ready-demo  ## the whole story on real data, in under two minutes
	@LIFECYCLE_OWNER=$$PPID exec $(BIN)/lifecycle demo $(DEMO_OPTIONS)

check: $(READY)  ## ruff, mypy --strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/lint-imports

unit: $(READY)  ## the quick tests
	$(BIN)/python -m pytest -m "not slow"

# Bare machines such as a CI job's container run as root; anywhere else installing packages is not ours to do.
# $(call install,PACKAGE,ANY OF ITS PROGRAMS)
install = @command -v $(2) >/dev/null \
  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing $(1) for the tests ..." \
       && apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends $(1) >/dev/null 2>&1; } \
  || echo "No $(1) here: the tests that need it will be skipped, and the last line of their output says so."

browser:
	$(call install,chromium,chromium chromium-browser google-chrome)

mariadb:
	$(call install,mariadb-server,mariadbd)

# Two more than there are cores: a good part of the tests' time is spent waiting for servers.
WORKERS = $(shell echo $$(( $$(nproc) < 4 ? $$(nproc) + 2 : 5 )))
PYTEST  = $(BIN)/python -m pytest -n $(WORKERS) --no-loadscope-reorder

test: check browser  ## every check, every contract and every user story once, in minutes
	$(PYTEST)

proof: check browser mariadb  ## the same tests at full length: fuzzing, races, crashes, all databases
	LIFECYCLE_PROOF=full $(PYTEST)

lint: check

format: $(READY)  ## put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove what the targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache test-artifacts dist
