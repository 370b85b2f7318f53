# The commands of the course. Each says what it does, and skips what is done already.

PYTHON ?= python3
# Processes that tests and notebooks are spread over.
JOBS ?= 2

BIN := .venv/bin
INSTALLED := .venv/installed
STAMPS := .stamps
PYTEST := $(BIN)/python -m pytest

CODE := $(shell find companion tools tests -type f -not -path '*/__pycache__/*' 2>/dev/null)
BOOK := $(shell find book -type f -not -path '*/.ipynb_checkpoints/*' 2>/dev/null) _config.yml _toc.yml
META := $(wildcard *.md *.cff *.toml *.txt *.yml) Makefile
# A file that went away is a change too: the list itself is something to depend on.
LIST := $(STAMPS)/list
$(shell mkdir -p $(STAMPS); echo '$(CODE) $(BOOK)' | cmp -s - $(LIST) || echo '$(CODE) $(BOOK)' > $(LIST))

.PHONY: help book test test-all check unit notebooks pages outputs address clean
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

book: $(STAMPS)/book ## make the environment, build the book, say where to open it
	@echo "The book is built. Open in a browser: file://$(CURDIR)/_build/html/book/index.html"

test: $(STAMPS)/check $(STAMPS)/unit ## lint, types, unit tests, one nbval pass, the book and its pages
	@# The book is built on one core, and says little: side by side the two take less time than in turn.
	@$(MAKE) --no-print-directory --jobs=2 notebooks book
	@$(MAKE) --no-print-directory pages
	@echo "All of it passes: lint and types, unit tests, notebooks, the book and its pages."
	@echo "(Only what changed since it last passed was run; 'make clean' forgets that.)"

test-all: test ## the slow tests as well: of code and of pages, and the notebooks with two threads
	@echo "--- Slow tests"
	$(PYTEST) -q -m "slow and not pages" -n $(JOBS) --dist loadfile
	@echo "--- Slow tests of the built pages"
	$(PYTEST) -q -m "slow and pages" tests/book -n $(JOBS)
	@echo "--- Notebooks with two threads (the pass of 'make test' has one)"
	OMP_NUM_THREADS=2 $(PYTEST) -q --nbval book

check: $(STAMPS)/check ## lint and types
unit: $(STAMPS)/unit ## unit tests
notebooks: $(STAMPS)/notebooks ## run every notebook and compare its outputs with the stored ones
pages: $(STAMPS)/pages ## look at the built pages: links, alt text, requests, errors

outputs: $(INSTALLED) ## run the notebooks afresh and store their outputs (ONLY=06_masks for one)
	$(BIN)/python -m tools.outputs $(ONLY)

address: $(INSTALLED) ## write the repository's address, URL=..., into _config.yml and every notebook
	@$(BIN)/python -m tools.address "$(URL)"

clean: ## remove what was built; the environment stays
	rm -rf _build $(STAMPS) .mypy_cache .pytest_cache .ruff_cache

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("Python 3.11 or newer is needed and $(PYTHON) is %d.%d. Name another: make PYTHON=python3.11" % v[:2])'
	@echo "--- Making the environment in .venv (the first time takes some minutes)"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[book,test,dev]'
	@# Else the first notebook that draws would print that the font cache is being built.
	@$(BIN)/python -c 'import matplotlib.font_manager'
	@touch $@

$(STAMPS)/check: $(INSTALLED) $(LIST) $(CODE) $(BOOK)
	@echo "--- Lint and types"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@touch $@

$(STAMPS)/unit: $(INSTALLED) $(LIST) $(CODE) $(BOOK) $(META)
	@echo "--- Unit tests"
	@# In the order of their names, which begins with the longest files, and not by how many tests they hold.
	$(PYTEST) -q -n $(JOBS) --dist loadfile --no-loadscope-reorder
	@touch $@

$(STAMPS)/notebooks: $(INSTALLED) $(LIST) $(filter companion/%,$(CODE)) $(BOOK)
	@echo "--- Notebooks: every output is computed again and compared"
	$(PYTEST) -q --nbval book -n $(JOBS) --dist loadscope
	@touch $@

# All pages afresh: a page that is not built again would keep its warnings to itself.
$(STAMPS)/book: $(INSTALLED) $(LIST) $(filter companion/% tools/%,$(CODE)) $(BOOK)
	@echo "--- Building the book; a warning is an error"
	$(BIN)/jupyter-book build . --all -W -n --keep-going --quiet
	@touch $@

$(STAMPS)/pages: $(STAMPS)/book $(filter tests/book/% tests/conftest.py,$(CODE))
	@echo "--- The built pages"
	$(PYTEST) -q -m "pages and not slow" tests/book -n $(JOBS) --dist loadgroup
	@touch $@
