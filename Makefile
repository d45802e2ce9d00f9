# make demo and make test need nothing but Python 3.10 or newer; both keep their own .venv.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# On a Jetson TensorRT comes from JetPack, which a venv sees only with the system's packages.
VENV_FLAGS := $(if $(wildcard /etc/nv_tegra_release),--system-site-packages,)
JETPACK6_VENV ?= .venv-jetpack6
# pyenv's shims exist for versions that are not active, so the interpreter itself is asked.
PYTHON310 ?= $(shell for p in python3.10 $$(ls -d $$(pyenv root 2>/dev/null)/versions/3.10*/bin/python 2>/dev/null); do \
	$$p -c '' 2>/dev/null && echo $$p && break; done)

.PHONY: help demo test check lint bench test-cuda test-jetpack6 clean

help:
	@echo 'make demo           fuse a drawn clip: out/demo.mp4, out/demo.png, a latency table'
	@echo 'make test           every test this machine can run'
	@echo 'make check          lint, types, tests, and the tests on JetPack 6 versions'
	@echo 'make bench          time the networks on this machine'
	@echo 'make test-cuda      the CUDA kernel: on this CPU, what nvcc makes of it, on a GPU if there is one'
	@echo 'make test-jetpack6  the runtime tests on Python 3.10 with JetPack 6 versions'

$(BIN)/python:
	$(PYTHON) -m venv $(VENV_FLAGS) $(VENV)

# Reinstalled when what is built or required changes; Python files are read in place.
NATIVE := $(shell find plugins -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cmake')

$(VENV)/.runtime: pyproject.toml CMakeLists.txt $(NATIVE) | $(BIN)/python
	@echo 'installing the runtime into $(VENV)'
	$(PIP) -e '.[cpu]'
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime constraints.txt tests/requirements-rtx.txt
	@echo 'installing export and test packages into $(VENV) (torch is large)'
	$(PIP) -c constraints.txt -e '.[cpu,export,calibration,dev]'
	-[ "$$(uname -m)" != x86_64 ] || $(PIP) -r tests/requirements-rtx.txt
	@touch $@

demo: $(VENV)/.runtime
	$(BIN)/mgdn demo out

test: $(VENV)/.dev
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test $(if $(PYTHON310),test-jetpack6,)

bench: $(VENV)/.runtime
	$(BIN)/mgdn bench --compare average --compare laplacian --compare guided

# Nine architectures, 10 seconds each.
test-cuda: $(VENV)/.dev
	$(BIN)/python -m pytest tests/plugins/test_cuda_*.py tests/plugins/test_onnxruntime_op.py

test-jetpack6: $(JETPACK6_VENV)/.dev
	$(JETPACK6_VENV)/bin/python -m pytest -m 'not export and not network' tests/runtime tests/plugins

$(JETPACK6_VENV)/.dev: pyproject.toml CMakeLists.txt $(NATIVE) tests/requirements-jetpack6.txt
	@[ -n '$(PYTHON310)' ] || { echo 'no Python 3.10 found; install one or set PYTHON310'; exit 1; }
	$(PYTHON310) -m venv $(JETPACK6_VENV)
	$(JETPACK6_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e . -r tests/requirements-jetpack6.txt
	@touch $@

clean:
	rm -rf out build dist $(VENV) $(JETPACK6_VENV)
