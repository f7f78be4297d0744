# Only Python 3.11 or later and make are needed; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# Two workers with a thread each: more threads only get in each other's way.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.PHONY: install demo test browser check docs bench reference lock clean

install: .venv/dev.stamp  ## Install the package and the tools of development into .venv

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/core.stamp: requirements/core.lock pyproject.toml | .venv/bin/python
	$(PIP) install --quiet --require-hashes -r requirements/core.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	touch $@

.venv/dev.stamp: requirements/dev.lock .venv/core.stamp
	$(PIP) install --quiet --require-hashes -r requirements/dev.lock
	touch $@

demo: .venv/core.stamp  ## Six organisations' raw files become a replication report
	$(BIN)/bipstudy demo --out demo

test: .venv/dev.stamp  ## The test suite, without the slow certification and the browser
	$(ONE_THREAD) $(BIN)/python -m pytest -m "not certify and not browser" -n 2 --dist worksteal -q tests

browser: .venv/dev.stamp  ## The steward's page in Chromium, which must be installed
	$(ONE_THREAD) $(BIN)/python -m pytest -m browser -q tests

check: .venv/dev.stamp  ## Lint, format, types, import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/dev.stamp  ## The documentation, notebooks executed, warnings fatal
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

bench: .venv/dev.stamp  ## Ratios side by side, see docs/performance.md
	$(BIN)/python benchmarks/estimators.py --people 4000

reference:  ## Make the reference values anew; needs R
	cd tests/reference && for script in *.R; do Rscript --vanilla $$script; done

lock: | .venv/bin/python  ## Pin every dependency with its hashes
	$(PIP) install --quiet uv
	$(BIN)/uv pip compile pyproject.toml requirements/build.in --all-extras --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --quiet --output-file requirements/dev.lock
	$(BIN)/uv pip compile pyproject.toml requirements/build.in --constraint requirements/dev.lock --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --quiet --output-file requirements/core.lock
	$(BIN)/uv pip compile pyproject.toml requirements/build.in --extra steward --constraint requirements/dev.lock --universal \
	  --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet --output-file requirements/steward.lock

clean:
	rm -rf .venv demo docs/_build .mypy_cache .ruff_cache .pytest_cache
