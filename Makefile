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
LOWEST_VENV ?= .venv-lowest
# A worker for each processor, four at most: one that exports takes 2 GB. Tests of a file stay
# together, because they share what is dear to make. WORKERS=0 runs them one after another.
WORKERS ?= auto
PYTEST := -m pytest -n $(WORKERS) --maxprocesses=4 --dist=loadfile
# pyenv's shims exist for versions that are not active, so the interpreter itself is asked.
PYTHON310 ?= $(shell for p in python3.10 $$(ls -d $$(pyenv root 2>/dev/null)/versions/3.10*/bin/python 2>/dev/null); do \
	$$p -c '' 2>/dev/null && echo $$p && break; done)

.PHONY: help demo test test-all check nightly lint docs bench tensorrt test-cuda test-jetpack6 lowest \
	fuzz aarch64 aarch64-test sanitize clean

help:
	@echo 'make demo           fuse a drawn clip: out/demo.mp4, out/demo.png, a latency table'
	@echo 'make test           the tests this machine can run in some minutes: all but those marked slow'
	@echo 'make check          what CI runs: lint, types, all tests, and the runtime on JetPack 6 versions'
	@echo 'make nightly        check, and what takes longer: the lowest versions, fuzzing, sanitizers,'
	@echo '                    aarch64 in emulation'
	@echo 'make docs           write docs/CLI.md and docs/API.md anew'
	@echo 'make bench          time networks, filters and the published code (8 GB) on this machine'
	@echo 'make tensorrt       what the tests of the TensorRT plugin need, without a GPU'
	@echo 'make test-cuda      the CUDA kernel: on this CPU, what nvcc makes of it, on a GPU if any'
	@echo 'make test-all       every test, those marked slow too'
	@echo 'make test-jetpack6  the runtime tests on Python 3.10 with JetPack 6 versions'
	@echo 'make lowest         the runtime tests on Python 3.10 with the lowest versions we state'
	@echo 'make fuzz           damaged bundles for MINUTES (10)'
	@echo 'make aarch64        the wheel for aarch64 boards, cross-built, into dist/'
	@echo 'make aarch64-test   that wheel in emulation; installs an emulator, as root'
	@echo 'make sanitize       the native library under address, undefined and thread sanitizers'

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

# TensorRT's headers and NVIDIA's lean runtimes, beside the environment's own packages: 90 MB to
# fetch. Where one cannot be had, its tests say they were skipped, and the next run tries again.
TENSORRT := headers lean-10 lean-11

$(VENV)/tensorrt/%/.installed: tests/requirements-tensorrt-%.txt | $(BIN)/python
	@echo 'fetching TensorRT $* for tests'
	@rm -rf $(@D)
	@$(PIP) --no-deps --no-compile --only-binary :all: --target $(@D) -r $< && touch $@ || \
	  echo 'no TensorRT $* here: those tests are skipped'

tensorrt: $(TENSORRT:%=$(VENV)/tensorrt/%/.installed)

demo: $(VENV)/.runtime
	$(BIN)/mgdn demo out

test: $(VENV)/.dev tensorrt
	$(BIN)/python $(PYTEST) -m 'not slow'

test-all: $(VENV)/.dev tensorrt
	$(BIN)/python $(PYTEST)

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py

# One after another: each keeps every processor busy.
check: lint
	$(MAKE) --no-print-directory test-all
	$(if $(PYTHON310),$(MAKE) --no-print-directory test-jetpack6,@echo 'no Python 3.10 here: JetPack 6 versions are not tested')

nightly: check
	$(if $(PYTHON310),$(MAKE) --no-print-directory lowest,)
	$(MAKE) --no-print-directory fuzz
	$(MAKE) --no-print-directory sanitize
	$(MAKE) --no-print-directory aarch64-test

MINUTES ?= 10
fuzz: $(VENV)/.dev
	$(BIN)/python tests/fuzz_bundles.py --minutes $(MINUTES)

# Two recordings of your own: make bench VISIBLE=vi.mp4 INFRARED=ir.mp4
VISIBLE ?= out/visible.mp4
INFRARED ?= out/infrared.mp4

out/visible.mp4 out/infrared.mp4: | $(VENV)/.runtime
	$(BIN)/mgdn demo out

bench: $(VENV)/.dev $(VISIBLE) $(INFRARED)
	$(BIN)/mgdn bench --compare average --compare laplacian --compare guided
	$(BIN)/mgdn fuse $(VISIBLE) $(INFRARED) out/paced.mp4 --pace source --overwrite
	$(BIN)/mgdn fuse $(VISIBLE) $(INFRARED) out/unpaced.mp4 --pace none --overwrite
	$(BIN)/mgdn bench filter
	$(BIN)/mgdn bench published

# Nine architectures, 10 seconds each.
test-cuda: $(VENV)/.dev
	$(BIN)/python -m pytest tests/plugins/test_cuda_*.py tests/plugins/test_onnxruntime_op.py

test-jetpack6: $(JETPACK6_VENV)/.dev
	$(JETPACK6_VENV)/bin/python $(PYTEST) -m 'not export and not network' tests/runtime tests/plugins

lowest: $(LOWEST_VENV)/.dev
	$(LOWEST_VENV)/bin/python $(PYTEST) -m 'not export and not network and not slow' tests/runtime tests/plugins

$(LOWEST_VENV)/.dev: CONSTRAINTS := -c tests/constraints-lowest.txt
$(LOWEST_VENV)/.dev: tests/constraints-lowest.txt
$(JETPACK6_VENV)/.dev $(LOWEST_VENV)/.dev: pyproject.toml CMakeLists.txt $(NATIVE) tests/requirements-jetpack6.txt
	@[ -n '$(PYTHON310)' ] || { echo 'no Python 3.10 found; install one or set PYTHON310'; exit 1; }
	$(PYTHON310) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS) -e . -r tests/requirements-jetpack6.txt
	@touch $@

# Cross build. pip names the wheel after _PYTHON_HOST_PLATFORM; the toolchain file decides what is
# in it. The self test links the wheel's own library, so what is tested is what is shipped.
AARCH64 := build/aarch64
CROSS_CXX := aarch64-linux-gnu-g++
NVCC ?= $(shell command -v nvcc || ls $${CUDA_HOME:-/usr/local/cuda}/bin/nvcc 2>/dev/null)
CUDART := plugins/requirements-aarch64-cuda.txt
CUDA_KERNEL := $(if $(wildcard plugins/cuda/*.cu),$(NVCC),)
CROSS_LIBRARY := $(AARCH64)/package/mgdn_edge/plugins/mgdn_native.so
READ_SYMBOLS := aarch64-linux-gnu-nm -D $(CROSS_LIBRARY)

aarch64: $(AARCH64)/self_test
	@echo "built $$(ls dist/*-linux_aarch64.whl); the library alone: $(AARCH64)/package/mgdn_edge/plugins"

# The wheel holds the Python files too, and the tests in emulation run those.
PACKAGE := $(shell find src/mgdn_edge/*.py calibration export plugins runtime -type f -not -name '*.pyc')

$(AARCH64)/self_test: pyproject.toml CMakeLists.txt $(PACKAGE) $(wildcard tests/plugins/self_test*) \
		$(if $(CUDA_KERNEL),$(AARCH64)/cudart/.complete,) | $(BIN)/python
	@command -v $(CROSS_CXX) > /dev/null || { echo 'no compiler for aarch64; as root: apt install g++-aarch64-linux-gnu'; exit 1; }
	@echo "$(if $(CUDA_KERNEL),with the CUDA kernel by $(NVCC),without a CUDA kernel: no nvcc found; set NVCC)"
	rm -rf $(AARCH64)/wheel $(AARCH64)/package
	_PYTHON_HOST_PLATFORM=linux-aarch64 MGDN_AARCH64_CUDART=$(CURDIR)/$(AARCH64)/cudart/nvidia/cu13/lib \
		$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps -w $(AARCH64)/wheel . \
		-C build-dir=$(AARCH64)/cmake -C cmake.args=-DCMAKE_TOOLCHAIN_FILE=$(CURDIR)/plugins/aarch64.cmake \
		$(if $(CUDA_KERNEL),-C cmake.define.MGDN_NVCC=$(NVCC)) \
		-C cmake.define.MGDN_CUDA=$(if $(CUDA_KERNEL),ON,OFF) -C 'cmake.define.MGDN_CUDA_ARCHITECTURES=87-real;110'
	@ls $(AARCH64)/wheel/*-linux_aarch64.whl > /dev/null
	$(BIN)/python -m zipfile -e $(AARCH64)/wheel/*.whl $(AARCH64)/package
	@! aarch64-linux-gnu-readelf -dW $(CROSS_LIBRARY) | grep NEEDED | grep -vE '\[(lib(c|m|pthread|dl|rt)\.so\.[0-9]+|ld-linux-aarch64\.so\.1)\]'
	@$(READ_SYMBOLS) | grep -q ' T RegisterCustomOps'
	@$(if $(CUDA_KERNEL),$(READ_SYMBOLS) | grep -q ' T mgdn_dynamic_filter_enqueue',true)
	$(CROSS_CXX) -std=c++14 -O2 -Wall -Wextra -pthread -Iplugins tests/plugins/self_test.cpp \
		$(CROSS_LIBRARY) '-Wl,-rpath,$$ORIGIN/package/mgdn_edge/plugins' -o $@
	@mkdir -p dist && cp $(AARCH64)/wheel/*.whl dist

# The pin is of one CUDA release: a static runtime of another need not fit what nvcc generates.
$(AARCH64)/cudart/.complete: $(CUDART) | $(BIN)/python
	@$(NVCC) --version | grep -q 'release 13\.0,' || { \
		echo '$(NVCC) is not of CUDA 13.0, which $(CUDART) pins; make aarch64 NVCC= leaves CUDA out'; exit 1; }
	rm -rf $(@D)
	$(PIP) --require-hashes --no-deps --only-binary=:all: --platform manylinux2014_aarch64 --target $(@D) -r $(CUDART)
	@touch $@

aarch64-test: $(VENV)/.runtime
	@command -v $(CROSS_CXX) > /dev/null || [ "$$(id -u)" != 0 ] || { echo 'installing g++-aarch64-linux-gnu'; apt-get update -qq; \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends g++-aarch64-linux-gnu > /dev/null; }
	@$(BIN)/python -c 'import onnx, onnx_ir' 2> /dev/null || $(PIP) -c constraints.txt -e '.[cpu,calibration]'
	$(MAKE) --no-print-directory aarch64
	tests/aarch64/run.sh $(BIN)/python $(AARCH64)

sanitize: $(VENV)/.dev
	tests/plugins/sanitize.sh $(BIN)/python build/sanitize

clean:
	rm -rf out build dist $(VENV) $(JETPACK6_VENV) $(LOWEST_VENV)
