# Everything here sets itself up: make demo and make test need Python 3.11-3.13 and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
DEMO := demo
# A file's tests go to one worker, so that what they share is made once.
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist loadfile --durations=20

.DEFAULT_GOAL := help
.PHONY: help install demo test test-app test-all lint types tests format benchmarks docs release-check clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 16

install: $(STAMP)  ## create .venv and install the pinned versions (done by every target that needs it)

$(STAMP): pyproject.toml constraints.txt weights-research/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "glioseg needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' -e ./weights-research
	@touch $@

demo: $(STAMP)  ## the whole way on phantom patients: inspect, train, evaluate, predict, report
	$(BIN)/glioseg demo --out $(DEMO)

test: lint  ## lint, types and the fast tests
	+@$(MAKE) --no-print-directory -j2 types tests

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

tests: $(STAMP)
	$(PYTEST) -m "not slow"

test-all: lint types  ## the same with the slow tests, many examples in property tests, and coverage
	$(PYTEST) --thorough --cov --cov-report=term

test-app: $(STAMP)  ## the page of the application in a real Chromium (apt install chromium, brew install chromium)
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	  { echo "Chromium is not installed. Debian, Ubuntu: sudo apt install chromium; Fedora: sudo dnf install chromium; macOS: brew install --cask chromium"; exit 1; }
	$(BIN)/pytest tests/app --durations=20

format: $(STAMP)  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmarks: $(STAMP)  ## run the speed measurements (minutes; on a quiet machine)
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

docs: $(STAMP)  ## build the site into build/site, offline; a dead link or a page that nothing leads to is an error
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/python docs/make_site_pages.py build/pages
	$(BIN)/mkdocs build --quiet --strict

release-check: $(STAMP)  ## say what is missing before a release; builds twice, installs once, writes the SBOM
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[release]'
	$(BIN)/python release/check.py

clean:  ## remove what make has made
	rm -rf $(VENV) $(DEMO) build .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis htmlcov
