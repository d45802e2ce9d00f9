"""The operation inside ONNX Runtime: which code runs, and what it refuses."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from mgdn_edge.plugins import native, reference

pytestmark = pytest.mark.native


@pytest.fixture
def case():
    rng = np.random.default_rng(5)
    feature = rng.standard_normal((1, 3, 8, 12)).astype(np.float32)
    return {"feature": feature, "kernel": rng.standard_normal((1, 9, 4, 6)).astype(np.float32)}


def test_the_registered_operation_is_taken_over_the_function_body(
    build_filter_model, open_filter_model, case
):
    model = build_filter_model(3, 2, body="Neg")  # a body that would give the wrong result
    (fused,) = open_filter_model(model).run(None, case)
    expected = reference.dynamic_filter(case["feature"], case["kernel"], 3, 2)
    np.testing.assert_allclose(fused, expected, atol=1e-5)
    (body,) = open_filter_model(model, registered=False).run(None, case)
    np.testing.assert_array_equal(body, -case["feature"])


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_do_not_change_a_bit(build_filter_model, open_filter_model, threads):
    rng = np.random.default_rng(6)
    feature = rng.standard_normal((2, 3, 70, 30)).astype(np.float32)
    kernel = rng.standard_normal((2, 49, 70, 30)).astype(np.float32)
    feeds = {"feature": feature, "kernel": kernel}
    model = build_filter_model(7, 1)
    (alone,) = open_filter_model(model, threads=1).run(None, feeds)
    (out,) = open_filter_model(model, threads=threads).run(None, feeds)
    np.testing.assert_array_equal(out, alone)


def test_upscale_defaults_to_one(build_filter_model, open_filter_model, case):
    model = build_filter_model(3, 1, attributes=(("kernel_size", 3),))
    kernel = np.ones((1, 9, 8, 12), np.float32)
    (out,) = open_filter_model(model).run(None, {**case, "kernel": kernel})
    expected = reference.dynamic_filter(case["feature"], kernel, 3)
    np.testing.assert_allclose(out, expected, atol=1e-5)


@pytest.mark.parametrize(
    "attributes",
    [
        (("kernel_size", 4), ("upscale", 1)),
        (("kernel_size", 3), ("upscale", 3)),
        (("kernel_size", 2**40), ("upscale", 1)),
        (("upscale", 1),),
    ],
)
def test_attributes_outside_the_contract_do_not_load(
    build_filter_model, open_filter_model, attributes
):
    with pytest.raises(Exception, match="kernel_size"):
        open_filter_model(build_filter_model(3, 1, attributes=attributes))


@pytest.mark.parametrize(
    ("feature", "kernel"),
    [
        ((1, 3, 8, 12), (1, 9, 8, 12)),
        ((1, 3, 8, 12), (1, 8, 4, 6)),
        ((1, 3, 9, 12), (1, 9, 4, 6)),
        ((1, 0, 8, 12), (1, 9, 4, 6)),
        ((0, 3, 8, 12), (0, 9, 4, 6)),
    ],
)
def test_shapes_outside_the_contract_are_refused(
    build_filter_model, open_filter_model, feature, kernel
):
    feeds = {"feature": np.zeros(feature, np.float32), "kernel": np.zeros(kernel, np.float32)}
    with pytest.raises(Exception, match=r"DynamicFilter.*(is needed|must)"):
        open_filter_model(build_filter_model(3, 2)).run(None, feeds)


def test_without_body_and_library_nothing_runs(build_filter_model, open_filter_model):
    with pytest.raises(Exception, match="DynamicFilter"):
        open_filter_model(build_filter_model(3, 2), registered=False)


@pytest.fixture
def other_session(tmp_path):
    """Open a model in a fresh process with another build of the operation; its result or error."""

    def run(library, model, feeds):
        np.savez(tmp_path / "feeds.npz", **feeds)
        (tmp_path / "model.onnx").write_bytes(model)
        code = (
            "import sys, numpy as np, onnxruntime as ort; options = ort.SessionOptions();"
            "options.register_custom_ops_library(sys.argv[1]);"
            "session = ort.InferenceSession('model.onnx', options, ['CPUExecutionProvider']);"
            "np.save('out.npy', session.run(None, dict(np.load('feeds.npz')))[0])"
        )
        command = [sys.executable, "-c", code, str(library)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    return run


@pytest.mark.export
def test_a_session_may_ask_for_the_filter_only(build_attention_model, build_filter_model):
    """Its attention is the function body, so a model without one does not load."""
    import onnxruntime

    def open_with(model, *entries):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        for entry in entries:
            options.add_session_config_entry(entry, "1")
        options.register_custom_ops_library(str(native.find_library()))
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    bare = build_attention_model(2, 4, True)
    open_with(bare)
    open_with(build_attention_model(2, 4, True, body=True), "mgdn.filter_only")
    open_with(build_filter_model(3, 1), "mgdn.filter_only")
    with pytest.raises(
        onnxruntime.capi.onnxruntime_pybind11_state.Fail, match="ShiftedWindowAttention"
    ):
        open_with(bare, "mgdn.filter_only")


OTHER_FUNCTIONS = """
#include "mgdn.h"
extern "C" {
MGDN_EXPORT const char* mgdn_status_text(int32_t) { return ""; }
MGDN_EXPORT int32_t mgdn_dynamic_filter_bands(const MgdnDynamicFilter*, int64_t* bands) {
  *bands = 1;
  return MGDN_OK;
}
// Says which function was called: 1 for the CPU's, 2 for CUDA's.
MGDN_EXPORT int32_t mgdn_dynamic_filter_run(const MgdnDynamicFilter* filter, int64_t, int64_t) {
  *static_cast<float*>(filter->out) = 1;
  return MGDN_OK;
}
MGDN_EXPORT int32_t mgdn_window_attention_bands(const MgdnWindowAttention*, int64_t*) {
  return MGDN_BAD_SHAPE;
}
MGDN_EXPORT int32_t mgdn_window_attention_run(const MgdnWindowAttention*, int64_t, int64_t) {
  return MGDN_BAD_SHAPE;
}
MGDN_EXPORT int32_t mgdn_token_layer_bands(const MgdnTokenLayer*, int64_t*) {
  return MGDN_BAD_SHAPE;
}
MGDN_EXPORT int32_t mgdn_token_layer_run(const MgdnTokenLayer*, int64_t, int64_t) {
  return MGDN_BAD_SHAPE;
}
MGDN_EXPORT int32_t mgdn_dynamic_filter_enqueue(const MgdnDynamicFilter* filter, void*) {
  *static_cast<float*>(filter->out) = 2;
  return MGDN_OK;
}
}
"""


def build_operation(folder, plugins, edit=lambda text: text):
    """The operation as a build with CUDA has it, over functions that only say they were called."""
    abi = (plugins / "onnxruntime_op" / "onnxruntime_abi.h").read_text()
    (folder / "onnxruntime_abi.h").write_text(edit(abi))
    for path in (plugins / "onnxruntime_op").iterdir():
        if path.name != "onnxruntime_abi.h":
            shutil.copy(path, folder)
    (folder / "functions.cpp").write_text(OTHER_FUNCTIONS)
    library = folder / "operation.so"
    command = ["g++", "-std=c++14", "-fPIC", "-shared", '-DMGDN_CUDA_ARCHITECTURES="87"']
    command += [f"-I{plugins}", f"-I{plugins / 'cuda'}", folder / "register.cpp"]
    command += [folder / "functions.cpp", "-o", library]
    subprocess.run([str(part) for part in command], check=True)
    return library


@pytest.mark.compiler
def test_with_cuda_registered_a_cpu_session_takes_the_cpu_kernel(
    tmp_path, repository, build_filter_model, other_session, case
):
    library = build_operation(tmp_path, repository / "plugins")
    result = other_session(library, build_filter_model(3, 2), case)
    assert result.returncode == 0, result.stderr
    assert np.load(tmp_path / "out.npy").flat[0] == 1


@pytest.mark.compiler
def test_a_table_in_another_order_is_refused(
    tmp_path, repository, build_filter_model, other_session, case
):
    def spoil(text):  # 178 is IsSparseTensor: the same arguments, another answer
        assert "HAS_VALUE = 192" in text
        return text.replace("HAS_VALUE = 192", "HAS_VALUE = 178")

    library = build_operation(tmp_path, repository / "plugins", spoil)
    result = other_session(library, build_filter_model(3, 2), case)
    assert result.returncode == 1
    assert "function table is not that of 1.17" in result.stderr


@pytest.mark.gpu
@pytest.mark.cuda_provider
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("k", "s"), [(3, 1), (5, 4), (7, 1), (7, 2)])
def test_the_cuda_provider_runs_the_cuda_kernel(build_filter_model, k, s, dtype):
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(str(native.find_library()))
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    model = build_filter_model(k, s, dtype is np.float16)
    session = onnxruntime.InferenceSession(model, options, ["CUDAExecutionProvider"])
    rng = np.random.default_rng(11)
    feature = rng.standard_normal((2, 5, 36, 136)).astype(dtype)
    kernel = rng.standard_normal((2, k * k, 36 // s, 136 // s)).astype(dtype)
    (out,) = session.run(None, {"feature": feature, "kernel": kernel})
    expected = reference.dynamic_filter(feature, kernel, k, s)
    tolerance = 1e-5 if dtype is np.float32 else 1e-2  # of sums up to 49, stored
    np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)
