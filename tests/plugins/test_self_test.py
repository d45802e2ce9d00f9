"""The library without Python: its self test, and what a C program needs to use it."""

import os
import subprocess

import pytest

from mgdn_edge.plugins import native

pytestmark = pytest.mark.compiler

# An implementation that promises everything and computes nothing.
IDLE = """
#include "mgdn.h"
int32_t mgdn_abi_version(void) { return MGDN_ABI_VERSION; }
int32_t mgdn_best_implementation(void) { return MGDN_BASELINE; }
int32_t mgdn_implementation_usable(int32_t i) { return i <= MGDN_BASELINE; }
int32_t mgdn_dynamic_filter_bands(const MgdnDynamicFilter* f, int64_t* bands) {
  *bands = 1;
  return MGDN_OK;
}
int32_t mgdn_dynamic_filter_run(const MgdnDynamicFilter* f, int64_t first, int64_t last) {
  return MGDN_OK;
}
int32_t mgdn_window_attention_bands(const MgdnWindowAttention* a, int64_t* bands) {
  *bands = 1;
  return MGDN_OK;
}
int32_t mgdn_window_attention_run(const MgdnWindowAttention* a, int64_t first, int64_t last) {
  return MGDN_OK;
}
int32_t mgdn_token_layer_bands(const MgdnTokenLayer* layer, int64_t* bands) {
  *bands = 1;
  return MGDN_OK;
}
int32_t mgdn_token_layer_run(const MgdnTokenLayer* layer, int64_t first, int64_t last) {
  return MGDN_OK;
}
"""

# Filters one pixel of 3 with a kernel whose centre is 2: prints 6.
PROGRAM = """
#include <mgdn.h>
#include <stdio.h>
int main(void) {
  float feature[1] = {3}, kernel[9] = {0, 0, 0, 0, 2}, out[1];
  MgdnDynamicFilter filter = {feature, kernel, out, 1, 1, 1, 1, 3, 1, MGDN_FLOAT32, MGDN_BEST};
  int64_t bands;
  int32_t status = mgdn_dynamic_filter_bands(&filter, &bands);
  if (status == MGDN_OK) status = mgdn_dynamic_filter_run(&filter, 0, bands);
  printf("%s: %g\\n", mgdn_status_text(status), out[0]);
  return status;
}
"""


COMPILER = os.environ.get("CXX", "g++")


def run(*words, **options):
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def build_self_test(repository, library, program):
    source = repository / "tests" / "plugins" / "self_test.cpp"
    flags = ["-std=c++14", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread"]
    run(COMPILER, *flags, f"-I{repository / 'plugins'}", source, library, "-o", program)


@pytest.mark.native
def test_the_library_passes_its_self_test(repository, tmp_path):
    library = native.find_library()
    build_self_test(repository, library, tmp_path / "self_test")
    said = run(tmp_path / "self_test", 4, env={"LD_LIBRARY_PATH": str(library.parent)})
    names = {each.name.lower() for each in native.usable_implementations()}
    assert names <= set(said.replace(";", " ").split())
    assert said.endswith("108 cases, 4 threads: passed\n")


def test_the_self_test_notices_a_library_that_does_nothing(repository, tmp_path):
    (tmp_path / "idle.c").write_text(IDLE)
    library = tmp_path / native.LIBRARY_NAME
    run(
        COMPILER,
        "-shared",
        "-fPIC",
        f"-I{repository / 'plugins'}",
        tmp_path / "idle.c",
        "-o",
        library,
    )
    build_self_test(repository, library, tmp_path / "self_test")
    done = subprocess.run(
        [str(tmp_path / "self_test"), "2"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "K=3 upscale=1 float32 core: element 0 is" in done.stderr
    assert "attention baseline window 4 shift 0: another shift is not noticed" in done.stderr
    assert done.stdout.endswith("FAILED\n")


@pytest.mark.cmake
def test_a_c_program_needs_cmake_and_no_python(repository, tmp_path):
    """Built with nothing on the path but the compiler's and CMake's programs."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("cmake", "make", "c++", "cc", "as", "ld", "ar", "ranlib", "sh"):
        found = run("sh", "-c", f"command -v {tool}").strip()
        (tools / tool).symlink_to(os.path.realpath(found))
    environment = {"PATH": str(tools)}
    build, prefix = tmp_path / "build", tmp_path / "prefix"
    options = ("-G", "Unix Makefiles", "-DMGDN_CUDA=OFF", "--no-warn-unused-cli")
    run("cmake", "-S", repository, "-B", build, *options, env=environment)
    run("cmake", "--build", build, env=environment)
    run("cmake", "--install", build, "--prefix", prefix, env=environment)
    (tmp_path / "program.c").write_text(PROGRAM)
    flags = [f"-I{prefix / 'include'}", "-std=c99", "-Wall", "-Wextra", "-Werror"]
    library = prefix / "lib" / native.LIBRARY_NAME
    flags += [library, f"-Wl,-rpath,{library.parent}"]
    run("cc", tmp_path / "program.c", *flags, "-o", tmp_path / "program")
    assert run(tmp_path / "program") == "no error: 6\n"
