# make demo: install, and film a shipped agent into renders/
# make test: lint, types, order of imports, tests
# make clean: remove what the two have made, and everything else in renders/

PYTHON ?= python3
CHECKPOINT ?= checkpoints/planned-small-s1.safetensors
CONTROLLER ?= mppi
PYTEST_ARGS ?= -q -n auto --dist loadfile

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
METADATA := pyproject.toml constraints.txt glassviz/__init__.py

.PHONY: demo test clean

demo: $(VENV)/.installed
	@$(BIN)/glassviz doctor >$(VENV)/doctor.txt || { cat $(VENV)/doctor.txt; exit 1; }
	$(BIN)/glassviz render $(CHECKPOINT) --controller $(CONTROLLER) --overlay-k --overwrite

test: $(VENV)/.installed-dev
	@$(BIN)/glassviz doctor >$(VENV)/doctor.txt || { cat $(VENV)/doctor.txt; exit 1; }
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest $(PYTEST_ARGS)

clean:
	rm -rf $(VENV) build dist .import_linter_cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find renders -mindepth 1 ! -name README.md -delete

# The extra packages of the tests are installed over the plain ones, so that either comes first.
$(VENV)/.installed-dev: $(METADATA) | $(VENV)/.created
	@echo "installing glassviz and what its tests need into $(VENV)"
	@$(PIP) -e '.[dev]'
	@touch $(VENV)/.installed $@

$(VENV)/.installed: $(METADATA) | $(VENV)/.created
	@echo "installing glassviz into $(VENV)"
	@$(PIP) -e .
	@touch $@

$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "error: $(PYTHON) not found: install Python 3.11 or newer, or make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: expected Python 3.11 or newer, found $$($(PYTHON) --version 2>&1): make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "error: $(PYTHON) cannot make virtual environments: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@
