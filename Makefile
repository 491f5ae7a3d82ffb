# Every target sets itself up from nothing. PYTHON chooses the interpreter: make test PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin
GAUDI := .venv-gaudi/bin
# One file's tests stay together, since they share what was expensive to make.
TWO_CORES := -n 2 --dist loadfile
test test-gaudi: export OMP_NUM_THREADS = 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-gaudi bench lint docs

help:  ## print the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

setup: .venv/installed  ## make .venv with the pinned packages and this checkout

demo: .venv/installed  ## make a hearing language model from nothing, offline, and show what hearing brings
	$(BIN)/audiobert quickstart

test: .venv/installed  ## run the tests
	$(BIN)/pytest $(TWO_CORES)

test-gaudi: .venv-gaudi/installed  ## run the tests with transformers 4.55, optimum-habana and laion-clap
	$(GAUDI)/pytest $(TWO_CORES)

bench: .venv/installed  ## measure speed and memory, beside the released procedure; goes on where it stopped
	$(BIN)/python benchmarks/suite.py --page docs/speed.md

lint: .venv/installed  ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: .venv/installed  ## build the documentation into site/
	$(BIN)/mkdocs build --strict

$(BIN)/pip:
	$(PYTHON) -m venv .venv

# Two processes that use librosa for the first time at once, as the tests would, mix up what numba compiles and keeps
# for it, and crash from then on.
COMPILE := python -c "import librosa.core.pitch, librosa.sequence"

# torch first and by itself, so that pip's own configuration decides which build of it is installed.
.venv/installed: setup.py pyproject.toml constraints.txt | $(BIN)/pip
	$(BIN)/pip install --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --constraint constraints.txt --editable ".[dev,starter]"
	$(BIN)/$(COMPILE)
	@touch $@

$(GAUDI)/pip:
	$(PYTHON) -m venv .venv-gaudi

# Not the extra "test", since datatrove needs huggingface-hub 1; and laion-clap by itself, since the torchvision of its
# extra does not fit every build of torch. The tests that need these skip, or do without.
TOOLS := pytest pytest-timeout pytest-xdist hypothesis scikit-learn selenium build setuptools pydantic krippendorff
.venv-gaudi/installed: setup.py pyproject.toml constraints-gaudi.txt | $(GAUDI)/pip
	$(GAUDI)/pip install --constraint constraints-gaudi.txt torch==2.13.0
	$(GAUDI)/pip install --constraint constraints-gaudi.txt --editable ".[gaudi,demo,faiss,milvus]" laion-clap $(TOOLS)
	$(GAUDI)/$(COMPILE)
	@touch $@
