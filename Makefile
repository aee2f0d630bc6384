# make fit      photos to splats: installs what is needed into .venv, then runs `splat fit`
# make test     the test suite
#
#   make fit IMAGES=folder               your own photos; without IMAGES sample photos are made
#   make fit IMAGES=folder RUN=folder    where the result goes; without RUN it is runs/NAME
#   make fit PRESET=quality              preview (the default here), default or quality
#   make fit FIT_OPTIONS="--resume"      any other option of `splat fit`

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet
SAMPLE := datasets/sample/images
PRESET ?= preview

# The core is compiled for this machine: with the CUDA driver only where there is an NVIDIA GPU, and for that
# GPU only. SPLAT_CUDA=1 make ... compiles it anyway, for one architecture.
NVIDIA := $(wildcard /proc/driver/nvidia/version /dev/nvidia0 /dev/dxg)
export SPLAT_CUDA ?= $(if $(NVIDIA),auto,0)
export SPLAT_CUDA_ARCHS ?= native

NATIVE_SOURCES := $(shell find cuda -type f -not -name '*.md')

.PHONY: help fit sample emulated test test-slow lint types clean

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# Either stamp compiles the native core; when its sources change, what changed is compiled again.
$(VENV)/.fit: pyproject.toml setup.py $(NATIVE_SOURCES) | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml setup.py $(NATIVE_SOURCES) | $(BIN)/python
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.fit

sample: $(VENV)/.fit
	$(BIN)/python -m datasets.sample --out $(SAMPLE)

# The sample's own run is replaced (its cameras are kept) and ends in time on a slow computer too; any
# other run is never touched unasked.
ifeq ($(IMAGES)$(RUN)$(FIT_OPTIONS),)
FIT_OPTIONS := --overwrite $(if $(filter preview,$(PRESET)),--max-seconds 120)
endif

fit: $(VENV)/.fit $(if $(IMAGES),,sample)
	$(BIN)/splat fit "$(or $(IMAGES),$(SAMPLE))" $(if $(RUN),--out "$(RUN)") --preset $(PRESET) $(FIT_OPTIONS)

# The CUDA driver, compiled for the processor: what tests/cuda runs where there is no GPU.
emulated: $(VENV)/.dev
	PATH="$(abspath $(BIN)):$$PATH" cmake -S cuda -B build/emulated/cmake -G Ninja --log-level=WARNING \
		-DCMAKE_BUILD_TYPE=Release -DSPLAT_CUDA=OFF -DSPLAT_EMULATED=ON -DSPLAT_OUTPUT_DIR=$(CURDIR)/build/emulated \
		-DPython_EXECUTABLE=$(abspath $(BIN)/python) -Dnanobind_DIR=$$($(BIN)/python -m nanobind --cmake_dir)
	PATH="$(abspath $(BIN)):$$PATH" cmake --build build/emulated/cmake --target _emulated

test: $(VENV)/.dev emulated
	OMP_NUM_THREADS=1 SPLAT_REQUIRE_EMULATED=1 $(BIN)/python -m pytest -m "not slow"

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow --timeout 1800

lint: $(VENV)/.dev
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist *.egg-info splat/_native*.so splat/_native*.pyd $(SAMPLE)
	find . -name __pycache__ -prune -exec rm -rf {} +
