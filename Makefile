# make help lists the targets.
SHELL := /bin/bash
PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin
export OST_VO_STATE ?= var

.PHONY: help run test docs lint bench clean packages

help: ## List the targets.
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16
	@echo "  make run DATA=/path OST_VO_PORT=8001 OST_VO_STATE=/path: your own data, port and state directory."

run: $(VENV)/installed ## Start a working archive; Ctrl-C ends it. DATA=/path serves and watches that directory.
	@$(if $(DATA),OST_VO_DATA_ROOT="$(DATA)" OST_VO_WATCH=true) exec $(BIN)/ost-vo run

# The archives that the suite starts, and the suite itself, share what they compile.
test: export NUMBA_CACHE_DIR = $(CURDIR)/$(VENV)/kernels
test: $(VENV)/installed-test ## Run the test suite on private services.
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(VENV)/installed-test ## Check style, types and the direction of imports.
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

docs: $(VENV)/installed-test ## Build the documentation to build/docs; a warning is an error.
	@$(BIN)/sphinx-build --builder html --fresh-env --fail-on-warning --keep-going --nitpicky --quiet docs build/docs
	@echo "build/docs/index.html"

bench: $(VENV)/installed-test ## Measure beside raw COPY and DaCHS; PRODUCTS=N rows, table and bench.json.
	@$(BIN)/python -m tests.bench --products $(or $(PRODUCTS),1000000) --json bench.json

clean: ## Remove the virtual environment and caches; the state directory and data stay.
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build *.egg-info
	find ost_vo ingest pixels tests -name __pycache__ -type d -exec rm -rf {} +

packages:
	@etc/install-packages etc/debian-packages

$(VENV)/created: etc/debian-packages
	@etc/install-packages etc/debian-packages
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# Aladin Lite comes meanwhile; the pages do without where it cannot be had.
$(VENV)/installed: $(VENV)/created requirements.txt pyproject.toml etc/install-aladin-lite etc/aladin-lite.sha512
	@echo "Installing Python packages" >&2
	@etc/install-aladin-lite $(BIN)/python & \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e . && \
	$(BIN)/python -m compileall -q ost_vo ingest pixels; \
	is_installed=$$?; wait; exit $$is_installed
	@touch $@

$(VENV)/installed-test: $(VENV)/installed requirements-test.txt etc/debian-packages-test
	@etc/install-packages etc/debian-packages-test
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	@touch $@
