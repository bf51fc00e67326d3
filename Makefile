# Everything below needs Python 3.11 or newer with pip, and make. `make page` needs Node.js 20.19 or newer as well.
#
# The virtual environment is always .venv, whichever environment is active. A target installs what it needs, once, and
# again when pyproject.toml changes or another PYTHON is asked for.

PYTHON ?= python3
ARGS ?=
# How many processes run the tests, each with files of its own: one a core. WORKERS=0 runs them in pytest's own process.
WORKERS ?= logical

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready-$(subst /,_,$(PYTHON))
# The tests that drive npm packages: those of these folders, and whatever else uses what is in tests/clients.
CLIENT_TESTS = tests/clients tests/docs $(shell grep -rlE "tests\.clients|accumulator" --include="test_*.py" \
	tests/agents tests/chaos tests/cluster tests/examples tests/transport)
PARALLEL = --numprocesses=$(WORKERS) --maxprocesses=8 --dist=loadfile --no-loadscope-reorder
PYTEST = $(BIN)/python -m pytest $(PARALLEL)
CODE = $(wildcard agents/statecast_agents transport/statecast transport/statecast_pytest tests examples benchmarks)

# An active environment must not leak into ours.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH __PYVENV_LAUNCHER__

MAKEFLAGS += --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: docs help demo test quick test-long test-newest test-oldest test-python check lint types imports bench load page react format setup clean

help: ## Show this help
	@echo "Usage: make <target> [ARGS=\"...\"] [PYTHON=python3.12]"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' Makefile

demo: $(STAMP) ## Serve the demo on http://127.0.0.1:8000; ARGS="--port 9000" for another port
	@exec $(BIN)/statecast demo $(ARGS)

test: $(STAMP)-dev ## Run the tests; ARGS="-k name" for some of them
	@$(PYTEST) $(ARGS)

quick: $(STAMP)-dev ## Run the fast tests of agents, stores, protocols and the server, in about two minutes
	@$(PYTEST) -m "not slow" tests/agents tests/stores tests/transport $(ARGS)

test-long: $(STAMP)-dev ## Run the tests with more kills, stops, random programs and examples
	@STATECAST_TEST_LONG=1 $(PYTEST) $(ARGS)

test-newest: $(STAMP)-dev ## Run the tests of the npm clients on the newest versions that the registry serves
	@rm -rf tests/clients/newest
	@STATECAST_CLIENTS=newest $(BIN)/python -m tests.clients.packages
	@STATECAST_CLIENTS=newest $(PYTEST) $(CLIENT_TESTS) $(ARGS)

test-oldest: $(STAMP)-dev ## Run smoke tests on the oldest versions of the dependencies that pyproject.toml allows
	@tools/test_oldest.sh $(PARALLEL) $(ARGS)

test-python: $(STAMP)-dev ## Run the tests on the newest Python there is, but for those of pages
	@tools/test_python.sh $(PARALLEL) $(ARGS)

check: lint types imports ## Check style, format, types and layers

lint: $(STAMP)-dev
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: $(STAMP)-dev
	$(BIN)/python -m mypy $(CODE)

imports: $(STAMP)-dev
	$(BIN)/lint-imports --no-logo

bench: $(STAMP)-bench ## Run the benchmarks; ARGS are theirs
	@$(BIN)/python -m benchmarks $(ARGS)

load: $(STAMP)-bench ## Load a server for a minute and watch it; ARGS="--streams 200 --followers 500 --store memory"
	@$(BIN)/python -m benchmarks.load $(ARGS)

page: ## Build the page from page/ into transport/statecast/page/
	@command -v npm >/dev/null || { echo "make page needs Node.js 20.19 or newer with npm, and found no npm." >&2; exit 1; }
	@cd page && npm ci --no-audit --no-fund && npm run build

docs: $(STAMP)-dev ## Build the site from README.md and docs/ into site/, and check its links; ARGS=serve shows it as you write
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs $(or $(ARGS),build --quiet)

react: ## Build @statecast/react from packages/react/ into transport/statecast/browser/react.js
	@command -v npm >/dev/null || { echo "make react needs Node.js 20.19 or newer with npm, and found no npm." >&2; exit 1; }
	@cd packages/react && npm ci --no-audit --no-fund && npm run build

format: $(STAMP)-dev ## Format the code and fix what can be fixed automatically
	$(BIN)/python -m ruff check --fix-only .
	$(BIN)/python -m ruff format .

setup: $(STAMP)-dev ## Install everything that tests and checks need

# Each builds on the one before, so that `make -j` never installs twice at once.
$(STAMP): pyproject.toml tools/setup.sh
	@tools/setup.sh "$(PYTHON)" $@

$(STAMP)-dev: $(STAMP)
	@tools/setup.sh "$(PYTHON)" $@ dev,docs,frameworks

$(STAMP)-bench: $(STAMP)-dev
	@tools/setup.sh "$(PYTHON)" $@ bench

clean: ## Remove the virtual environment, node_modules and all caches
	rm -rf $(VENV) $(VENV).lock .node .newest .oldest dist build site .coverage htmlcov
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -rf page/node_modules packages/*/node_modules tests/clients/node_modules tests/clients/newest tests/types/node_modules
	rm -rf tests/nextjs/node_modules tests/nextjs/apps examples/*/*/node_modules examples/*/*/.next
	rm -rf examples/*/node_modules examples/*/dist
	find agents transport tests examples benchmarks tools -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
