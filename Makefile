# The verbs of this project. People and machines use the same ones; `make` alone lists them.
# Every verb makes .venv first when it is missing, moved, or older than requirements.lock.

PYTHON ?= python3

# A period, and the names of rows, come from outside. Their text is taken as it stands, never
# expanded, and reaches the program through the environment, so that no shell reads it.
override PERIOD := $(value PERIOD)
export PERIOD
override ROWS := $(value ROWS)
override QUICK := $(value QUICK)
export ROWS

export PYTHON
export PYTHON_WAS_CHOSEN := $(filter command,$(firstword $(origin PYTHON)))

BIN := .venv/bin
READY := .venv/.ready
STALE := $(shell sh .ci/set-up --stale)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help report test lab check fix hooks bench docs verify spark lock clean clean-all stale

# Runs lodestar with the words of $(1) and says what its exit code means. make itself returns 2.
define lodestar
$(BIN)/lodestar $(1) || { code=$$?; sh .ci/exit-meaning $$code; exit $$code; }
endef

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

report: $(READY) ## build every due report; one month with PERIOD=2026-10
	@if [ -n "$$PERIOD" ]; then $(call lodestar,run --period="$$PERIOD"); \
	else $(call lodestar,run); fi

test: $(READY) ## run the tests, then the checked cells of the notebooks
	@$(BIN)/pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder
	@$(BIN)/python -m tests.checked_cells prepare
	@LODESTAR_ROOT="$(CURDIR)/build/sample-root" \
	  $(BIN)/python -m pytest -p tests.notebook_gate --nbval-lax \
	  --nbval-sanitize-with=tests/nbval-may-differ.cfg --timeout=600 \
	  --numprocesses=auto --dist=loadfile notebooks

lab: $(READY) ## bring a month's tables up to date and open JupyterLab; PERIOD=2026-09 for an older one
	@if [ -n "$$PERIOD" ]; then $(call lodestar,lab --period="$$PERIOD"); \
	else $(call lodestar,lab); fi

check: $(READY) ## look for faults of style, types, imports, notebooks, versions; change nothing
	@sh .ci/check

fix: $(READY) ## repair what can be repaired by itself: notebooks, lint, format, docs/data.md
	@$(BIN)/python .ci/clean_notebooks.py
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format
	@$(BIN)/python -m pipeline.data.dictionary

hooks: $(READY) ## let git look before a commit, and compare notebooks by cell
	@sh .ci/hooks

bench: $(READY) ## measure times and memory, write docs/performance.md; ROWS="cox R": some; QUICK=1: tiny
	@$(BIN)/python -m tests.bench $(if $(QUICK),--quick) -- "$$ROWS"

docs: $(READY) ## build the reference, the tutorial and the guides as pages in build/docs
	@$(BIN)/python .ci/docs

verify: $(READY) ## draw the simulation study, write docs/verification.md, run the slow tests
	@$(BIN)/python -m tests.verification
	@$(BIN)/pytest -m slow tests

spark: $(READY) ## add Spark to .venv, for `engine: pyspark` (400 MB; needs Java 17)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode \
		-r requirements-spark.lock

lock: $(READY) ## choose every version anew and write requirements.lock and requirements-spark.lock
	@$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --quiet \
		-o requirements.lock
	@$(BIN)/uv pip compile --group pyproject.toml:spark --constraint requirements.lock \
		--universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --quiet \
		-o requirements-spark.lock

clean: ## remove all that a run makes, earlier publications included; keep your raw data and .venv
	@rm -rf build data/raw/sample
	@for folder in data/processed data/quarantine reports; do \
		if [ -d "$$folder" ]; then \
			find "$$folder" -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +; \
		fi; \
	done

clean-all: clean ## clean, and remove .venv and the DVC cache
	@rm -rf .venv .dvc/cache .dvc/tmp .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis

$(READY): requirements.lock pyproject.toml $(if $(STALE)$(PYTHON_WAS_CHOSEN),stale)
	@sh .ci/set-up

stale:
