# Two commands do all their own set-up: `make run` opens the workbench, `make test` runs every test.
# `make test-quick` is for the inner loop: what it leaves out stands in CONTRIBUTING.md.
PYTHON ?= python3
# An interpreter that may not keep what it compiles takes twice as long to start, and tests start many.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := steering workbench panels tests docs bench

PYTEST := $(BIN)/python -m pytest
# A file of tests is a process's, since models and servers are built once a file; tests/conftest.py puts long files first.
EVERY_CORE := -n auto --dist loadfile --no-loadscope-reorder
# The mathematics, who is written where, recipes, the files of vectors and stores, one study whole, the pages' layout.
INNER := tests/test_arrows.py tests/steering/writes tests/steering/passes/test_tracing.py tests/steering/passes/test_decoding.py \
	tests/steering/passes/test_passes.py tests/steering/passes/test_gates.py tests/steering/passes/test_sampling.py \
	tests/steering/recipes/test_recipes.py tests/steering/vectors/test_vectors.py tests/steering/extraction/test_extraction.py \
	tests/steering/texts/test_contrast.py tests/steering/test_statistics.py tests/steering/test_store.py \
	tests/steering/test_lane.py tests/steering/test_ranges.py tests/steering/studies/test_grid.py tests/workbench/test_markup.py \
	tests/workbench/test_jobs.py tests/workbench/test_workspace.py tests/workbench/test_panel.py \
	tests/workbench/controls/test_recipe_editor.py

.PHONY: run test tests test-quick check format fuzz crash soak notebook space visitors abroad bench clean

run: $(VENV)/.installed
	$(BIN)/workbench serve

# Types are checked while tests run: neither keeps every core busy to its end.
test: $(VENV)/.installed-dev $(VENV)/.browser
	$(MAKE) --no-print-directory -j 2 check tests

tests: $(VENV)/.installed-dev $(VENV)/.browser
	$(PYTEST) $(EVERY_CORE)

test-quick: $(VENV)/.installed-dev
	$(PYTEST) $(EVERY_CORE) $(INNER)

# Formatter, linter, types.
check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

# 10,000 generated inputs for every reader, setting, command and event of the page, each held against 5 s and 1 GB; the tests
# run 60 to 120 of each.
fuzz: $(VENV)/.installed-dev
	STEERING_FUZZ=10000 $(PYTEST) tests/steering/test_properties.py tests/steering/texts/test_text_fuzz.py tests/steering/test_settings_fuzz.py tests/steering/loading/test_loading_fuzz.py tests/workbench/test_page_fuzz.py tests/steering/dictionaries/test_loading.py

# 200 runs of every kind killed at random moments, and continued; some minutes. `make crash N=1000 SEED=1` for others.
N := 200
SEED := 0
crash: $(VENV)/.installed-dev
	$(BIN)/python -m tests.crashes $(N) --seed $(SEED)

# 8 visitors who run, stop, leave, fail, switch models and send nonsense for an hour: no wrong text, nothing stuck, nothing
# left behind. `make soak MINUTES=10 SEED=1` for another storm; what clients do follows from the seed.
MINUTES := 60
soak: $(VENV)/.installed-dev
	$(BIN)/python -m tests.soak --minutes $(MINUTES) --seed $(SEED) --clients 8

# The wheel in an environment of its own: the tour, and a panel below a cell of JupyterLab; some minutes.
FRESH := build/notebook
notebook: $(VENV)/.installed-dev $(VENV)/.browser
	rm -rf $(FRESH)
	$(PIP) wheel --no-deps --wheel-dir $(FRESH) .
	$(BIN)/python -m venv $(FRESH)/venv
	$(FRESH)/venv/bin/python -m pip --quiet install --no-compile "$$(grep '^torch==' constraints.txt)"
	$(FRESH)/venv/bin/python -m pip --quiet install --no-compile -c constraints.txt "$$(ls $(FRESH)/*.whl)[notebook]"
	cd $(FRESH) && STEERING_WORKBENCH_HOME=home venv/bin/workbench tour
	STEERING_JUPYTER=$(CURDIR)/$(FRESH)/venv/bin/python $(PYTEST) tests/workbench/notebook/test_browser_jupyterlab.py

# 24 visitors of a public page, 312 runs: each gets their own texts, and no memory is left behind; two minutes.
visitors: $(VENV)/.installed-dev
	STEERING_ROUNDS=13 $(PYTEST) tests/workbench/test_many_visitors.py

# The large studies on odd models, as a user would start them; half an hour and more.
abroad: $(VENV)/.installed-dev
	STEERING_ABROAD=1 $(PYTEST) tests/steering/test_abroad.py

# A Space as the Hub would build it: its folder written, its environment made, its page asked for a reply. Some gigabytes
# are fetched, since torch comes with CUDA. `make space MODEL=Qwen/Qwen3-0.6B` for another model.
MODEL := demo
space: $(VENV)/.installed
	rm -rf build/space
	$(BIN)/workbench space new build/space --model $(MODEL)
	$(BIN)/workbench space check build/space

# Speed, as ratios against something measured in the same run; never a test. It writes bench/RESULTS.md; `make bench QUICK=1`
# takes ten minutes. Other libraries get environments of their own below build/bench the first time (gigabytes where
# torch comes with CUDA).
bench: $(VENV)/.installed-dev $(VENV)/.browser
	$(BIN)/python -m bench $(if $(QUICK),--quick)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache

# torch goes first and pinned: a bare `torch` drags in the newest build with gigabytes that may not suit the machine.
# Nothing is compiled beforehand: of 20,000 files Python compiles those that it imports, once, as it does.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --no-compile "$$(grep '^torch==' constraints.txt)"
	$(PIP) install --no-compile -c constraints.txt -e '.$(1)'
	touch $@
endef

$(VENV)/.installed: pyproject.toml constraints.txt
	$(call install,)

$(VENV)/.installed-dev: pyproject.toml constraints.txt
	$(call install,[dev])
	touch $(VENV)/.installed

# The browser tests drive a Chromium: the system's if there is one, else from the system's packages, else Playwright's.
$(VENV)/.browser: $(VENV)/.installed-dev
	$(BIN)/python tests/chromium.py --install
	touch $@
