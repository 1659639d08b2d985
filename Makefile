# The tasks of a developer. `make test` and `make demo` create the virtual environment that they need:
# .venv, once, from any Python >= 3.11 that has pip.

VENV := .venv
BIN := $(VENV)/bin
IS_NEW_ENOUGH := import sys, venv; sys.exit(sys.version_info < (3, 11))

# The first Python on PATH that is new enough; `make PYTHON=/path/to/python …` selects another one.
PYTHON ?= $(shell for name in python3 python python3.14 python3.13 python3.12 python3.11; do \
	"$$name" -c '$(IS_NEW_ENOUGH)' 2>/dev/null && { echo "$$name"; break; }; done)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv dev test soak soak-graphs demo docs lint format types bench bench-quick bench-publish bench-schedules bench-go bench-sharing bench-day

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(VENV)/.installed ## Create .venv, with envy and the packages that its tests need

dev: $(VENV)/.installed-dev ## Create .venv, with the linter and the type checker as well

test: $(VENV)/.installed ## Run all tests; PYTEST_ARGS="-k lock" selects some
	$(BIN)/python -m pytest -n auto $(PYTEST_ARGS)

soak: export ENVY_SOAK_ROUNDS ?= 1000
soak: export ENVY_SOAK_CROWDS ?= 50
soak: export ENVY_SOAK_FAULTS ?= 1
soak: export ENVY_SOAK_HOSTILE ?= 20000
soak: export ENVY_SOAK_PARSERS ?= 20000
soak: export ENVY_SOAK_LAUNCHERS ?= 1000
soak: export ENVY_SOAK_RESULTS ?= 300
soak: export ENVY_SOAK_LIBRARIES ?= 10
soak: export ENVY_SOAK_REMOTE_FAULTS ?= 500
soak: export ENVY_SOAK_EDITS ?= 300
soak: soak-graphs ## Kill syncs at random, more than a thousand times; takes an hour
	$(BIN)/python -m pytest -v functional_tests/test_rounds.py functional_tests/test_gc_beside_syncs.py \
	  functional_tests/test_faults.py tests/execution/test_hostile_items.py \
	  tests/test_hostile_bytes.py tests/cache/test_life_cycle_faults.py \
	  tests/cache/test_publish_faults.py functional_tests/test_launchers.py \
	  functional_tests/test_go_results.py functional_tests/test_two_machines.py \
	  functional_tests/test_remote.py functional_tests/test_dead_servers.py \
	  functional_tests/test_kind_edits.py

soak-graphs: export ENVY_SOAK_GRAPHS ?= 100000
soak-graphs: export ENVY_SOAK_SEED := $(shell date +%s)
soak-graphs: $(VENV)/.installed ## Try random graphs, with a new seed each time; ENVY_SOAK_GRAPHS=1000000 for more
	@echo "random graphs with ENVY_SOAK_SEED=$(ENVY_SOAK_SEED)"
	$(BIN)/python -m pytest -n auto tests/engine/test_graphs.py $(PYTEST_ARGS)

demo: export ENVY_MANIFEST := $(CURDIR)/docs/demo/envy.lua
demo: export ENVY_CACHE_ROOT := $(CURDIR)/.demo/cache
demo: $(VENV)/.installed ## Install the packages of docs/demo/envy.lua and run some
	@echo '# install the packages of docs/demo/envy.lua into .demo/cache'
	$(BIN)/envy sync
	@echo '# sync again: everything is already installed'
	$(BIN)/envy sync
	@echo '# run programs of the packages, and print the path of one package'
	$(BIN)/envy run -- cmake --version
	$(BIN)/envy asset python
	$(BIN)/envy run -- lua -e 'print("hello from " .. _VERSION)'

bench: $(VENV)/.installed ## Measure envy and compare with floors; BENCH_ARGS="graphs startup --compare OLD.json"
	$(BIN)/python tests/benchmarks/bench.py $(BENCH_ARGS)

bench-publish: $(VENV)/.installed ## Compare publishing 2 GB with cp and hashing; needs 6 GB of disk
	$(BIN)/python tests/benchmarks/publish.py $(BENCH_ARGS)

bench-quick: $(VENV)/.installed ## Like bench, with small sizes; takes two minutes
	$(BIN)/python tests/benchmarks/bench.py --quick $(BENCH_ARGS)

bench-schedules: $(VENV)/.installed ## Compare syncs with list schedules, in 15 minutes; BENCH_ARGS="--quick" for fewer
	$(BIN)/python tests/benchmarks/schedules.py $(BENCH_ARGS)

bench-go: $(VENV)/.installed ## Compare envy test with go test; BENCH_ARGS="--quick" for warm runs only
	$(BIN)/python tests/benchmarks/bench_go.py $(BENCH_ARGS)

bench-day: $(VENV)/.installed ## Simulate a day of 200 machines that share packages; takes some minutes
	$(BIN)/python tests/benchmarks/day_of_sharing.py $(BENCH_ARGS)

bench-sharing: $(VENV)/.installed ## Store and take a large package by a real server; BENCH_ARGS="--tree FOLDER"
	$(BIN)/python tests/benchmarks/sharing.py $(BENCH_ARGS)

docs: $(VENV)/.installed ## Generate docs/events.md, docs/shipped.md and the help in docs/commands.md
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/completions.py

lint: $(VENV)/.installed-dev ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.installed-dev ## Format, and fix what can be fixed automatically
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.installed-dev ## Check types
	$(BIN)/mypy

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 on PATH; run make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { : some systems ship venv without ensurepip; \
	  $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	  $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

# The extra dev includes the extra test.
$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.installed
