# Needs Python 3.11 or newer and nothing else: each target installs what it uses into .venv.
# pip does it, so its own configuration holds (index, certificates, proxies).

PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.installed
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test servers lint types layers examples bench bench-peers check format lock hooks clean

help: ## Say what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

demo: $(READY) ## Run the main job end to end on real data
	@$(PY) examples/demo.py $(ARGS)

test: $(READY) ## Run the tests, on all cores (ARGS="-k name" for some of them)
	@$(PY) -m pytest -n logical --dist worksteal $(ARGS)

servers: ## Install and build the servers that some tests need (PostgreSQL; FerretDB, with Go)
	@tests/servers/install

lint: $(READY) ## Check style and formatting
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

types: $(READY) ## Check types
	@$(PY) -m mypy

layers: $(READY) ## Check that modules import only from their own layer and below
	@$(VENV)/bin/lint-imports --no-logo

examples: $(READY) ## Run the example projects and the commands of the documents
	@$(PY) -m pytest tests/examples $(ARGS)

bench: $(READY) ## Measure limits and Headwater, print the ratios
	@$(PY) -m bench $(ARGS)

bench-peers: $(READY) ## The same with peers, in an environment of their own
	@$(PY) -m bench --peers $(ARGS)

check: lint types layers test ## All checks

format: $(READY) ## Format the code and fix what can be fixed
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

lock: $(READY) ## Resolve the dependencies anew into requirements/dev.lock
	@$(PY) -m uv pip compile pyproject.toml --group dev --extra polars --extra pandas \
		--extra postgres --extra mongo \
		--universal --python-version 3.11 --generate-hashes --upgrade --quiet \
		--custom-compile-command "make lock" --output-file requirements/dev.lock

hooks: $(READY) ## Check each commit before it is made
	@$(VENV)/bin/pre-commit install

clean: ## Remove what was installed and cached
	rm -rf $(VENV) .servers .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(READY): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Headwater needs Python 3.11 or newer; say which: make PYTHON=python3.11" >&2; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) ..." >&2
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
		--requirement requirements/dev.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--editable .
	@touch $@
