# Two commands do all their own set-up: `make run` opens the workbench, `make test` runs every test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := steering workbench panels tests docs bench

.PHONY: run test check format fuzz abroad bench clean

run: $(VENV)/.installed
	$(BIN)/workbench serve

# A file of tests is a process's, since models and servers are built once a file; browser tests take the machine for themselves.
test: $(VENV)/.installed-dev $(VENV)/.browser check
	$(BIN)/python -m pytest -m "not browser" -n auto --dist loadfile
	$(BIN)/python -m pytest -m browser

# Formatter, linter, types.
check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

# 10,000 generated inputs for every reader, setting, command and event of the page, each held against 5 s and 1 GB; the tests
# run 60 to 300 of each.
fuzz: $(VENV)/.installed-dev
	STEERING_FUZZ=10000 $(BIN)/python -m pytest tests/steering/texts/test_text_fuzz.py tests/steering/test_settings_fuzz.py tests/steering/loading/test_loading_fuzz.py tests/workbench/test_page_fuzz.py

# The three large studies on odd models, as a user would start them; half an hour.
abroad: $(VENV)/.installed-dev
	STEERING_ABROAD=1 $(BIN)/python -m pytest tests/steering/test_abroad.py

# Speed, printed as ratios against something measured in the same run; never a test.
bench: $(VENV)/.installed-dev
	$(BIN)/python bench/startup.py
	$(BIN)/python bench/decoding.py
	$(BIN)/python bench/vocabulary.py
	$(BIN)/python bench/extraction.py
	$(BIN)/python bench/refusal.py
	$(BIN)/python bench/tradeoff.py
	$(BIN)/python bench/probing.py
	$(BIN)/python bench/page.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache

# torch goes first and pinned: a bare `torch` drags in the newest build with gigabytes that may not suit the machine.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install "$$(grep '^torch==' constraints.txt)"
	$(PIP) install -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install -c constraints.txt -e '.[dev]'
	touch $@

# The browser tests drive a Chromium: the system's if there is one, else from the system's packages, else Playwright's.
$(VENV)/.browser: $(VENV)/.installed-dev
	$(BIN)/python tests/chromium.py --install
	touch $@
