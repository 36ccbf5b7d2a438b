# Everything happens in .venv; PYTHON is only used to make it.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install luvnet test lint docs lock sbom wheelhouse clean

install: .venv/installed

.venv/installed: requirements.txt pyproject.toml setup.py
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is %d.%d; give PYTHON=..." % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install -qq --no-deps --editable .
	touch $@

luvnet: install
	$(BIN)/python -m ultrasound_jax.main --config configs/luvnet.py

test: install
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

# A warning is an error: a page that lost its link, a docstring that cannot be read.
docs: install
	rm -rf docs/api docs/copied docs/_build
	JAX_PLATFORMS=cpu $(BIN)/sphinx-build --quiet --fail-on-warning docs docs/_build

lock: install
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --extra build --extra dev --extra docs --no-header --no-annotate --output-file requirements.txt pyproject.toml

# What is installed, with licences, as CycloneDX and as a page: build/sbom.cdx.json.
sbom: install
	$(BIN)/python -m tools.sbom build

# Wheels for machines without internet; docs/installing.md says how to use them.
PYTHON_VERSION ?= $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
MACHINE ?= x86_64
EXTRAS ?=
wheelhouse: install
	$(BIN)/python -m tools.wheelhouse wheelhouse --python-version $(PYTHON_VERSION) --machine $(MACHINE) --extras "$(EXTRAS)"

clean:
	rm -rf .venv runs build wheelhouse docs/api docs/copied docs/_build *.egg-info
