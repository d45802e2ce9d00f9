#!/usr/bin/env bash
# The native library under sanitizers: `make sanitize`.
#
#   tests/plugins/sanitize.sh PYTHON BUILD    Python with mgdn-edge and pytest; folder to build in
#
# Address and undefined behaviour: the self test, then tests/plugins in Python with the sanitizer
# preloaded (it must come before the libraries it watches; libstdc++ beside it, or exceptions of
# ONNX Runtime are not found). Such a library needs its sanitizer, which one test forbids. Leaks are
# not looked for: the interpreter frees nothing at exit.
# Threads: the self test only. Python and ONNX Runtime are not built for ThreadSanitizer, so what
# it said of them would be noise; the self test runs the bands on many threads as they do.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$1
build=$2
compiler=${CXX:-g++}

step() { printf '[%4d s] %s\n' "$SECONDS" "$*"; }

# build_with NAME SANITIZERS: the library and the self test, both watched, in $build/NAME.
build_with() {
  step "building with -fsanitize=$2"
  cmake -S . -B "$build/$1" -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DMGDN_CUDA=OFF -DMGDN_SANITIZE="$2" --no-warn-unused-cli > "$build/$1.log"
  cmake --build "$build/$1" >> "$build/$1.log"
  "$compiler" -std=c++14 -O1 -g -fsanitize="$2" -fno-sanitize-recover=all -pthread -Iplugins \
    tests/plugins/self_test.cpp "$build/$1/mgdn_native.so" "-Wl,-rpath,\$ORIGIN" \
    -o "$build/$1/self_test"
}

mkdir -p "$build"
build_with address address,undefined
step 'the self test'
"$build/address/self_test" 16
step 'tests/plugins'
LD_PRELOAD="$("$compiler" -print-file-name=libasan.so) $("$compiler" -print-file-name=libstdc++.so)" \
  ASAN_OPTIONS=detect_leaks=0 "$python" -m pytest -q -p no:cacheprovider -m 'native and not compiler' \
  --native-library "$build/address/mgdn_native.so" tests/plugins \
  --deselect tests/plugins/test_native.py::test_the_library_needs_nothing_but_the_c_library

build_with thread thread
step 'the self test'
"$build/thread/self_test" 16
step 'clean'
