# make fit    photos to splats: installs what is needed into .venv, then runs `splat fit`
# make test   the test suite
#
#   make fit IMAGES=folder RUN=folder     your own photos; without IMAGES the sample photos are made
#   make fit PRESET=quality               preview, default or quality
#   make fit FIT_OPTIONS="--max-seconds 60"

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PRESET ?= preview
FIT_OPTIONS ?=

SAMPLE := datasets/sample/images
ifdef IMAGES
RUN ?= runs/$(shell basename "$(IMAGES)")
else
RUN ?= runs/sample
SAMPLE_STAMP := $(SAMPLE)/.made
endif
PHOTOS := $(or $(IMAGES),$(SAMPLE))

NATIVE_SOURCES := $(shell find cuda -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' -o -name CMakeLists.txt)

.PHONY: fit test test-slow lint types clean help

help:
	@sed -n '1,6s/^# \{0,1\}//p' Makefile

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# Both stamps build the native core; a change of its sources builds it again (only what changed).
$(VENV)/.fit: pyproject.toml setup.py $(NATIVE_SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.dev: pyproject.toml setup.py $(NATIVE_SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@ $(VENV)/.fit

$(SAMPLE)/.made: $(wildcard datasets/sample/*.py) | $(VENV)/.fit
	$(BIN)/python -m datasets.sample --out $(SAMPLE)
	touch $@

fit: $(VENV)/.fit $(SAMPLE_STAMP)
	$(BIN)/splat fit $(PHOTOS) --out $(RUN) --preset $(PRESET) $(FIT_OPTIONS)
	@echo
	@echo "Scene:  $(abspath $(RUN))/splat.ply   (look at it: $(BIN)/splat view $(RUN))"
	@echo "Report: $(abspath $(RUN))/report.html"

test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow"

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow --timeout 1800

lint: $(VENV)/.dev
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist *.egg-info splat/_native*.so $(SAMPLE)
	find . -name __pycache__ -prune -exec rm -rf {} +
