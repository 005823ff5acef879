# One command from a fresh clone: everything needed is put into .venv, in the versions of constraints.txt.
# A package index of your own is named the way pip is told of it anywhere (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo test format clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.ready ## compare the families on handwritten digits; the report is runs/digits/report.html
	$(BIN)/sansheng compare digits --budget 30s --seeds 1 --out runs/digits --force

test: $(VENV)/.ready-dev ## style, types and the whole test suite
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

format: $(VENV)/.ready-dev ## lay the code out
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## remove what was built, the environment too; runs/ stays
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torch comes first, by itself: the pinned version and nothing that pulls in another.
$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sansheng needs Python 3.11 or newer, and $(PYTHON) is %d.%d: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	@echo "setting up $(VENV) (once; some minutes)"
	@$(PYTHON) -m venv $(VENV)
	$(PIP) torch hatchling editables
	$(PIP) --no-build-isolation --editable .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(PIP) --no-build-isolation --editable '.[dev]'
	@touch $@
