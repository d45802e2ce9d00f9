"""The hosts of DynamicFilter: everything that computes it natively, behind one signature."""

import os
import shutil
import subprocess
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from support.cuda_on_host import build_library, filter_with, open_library

from mgdn_edge.plugins import native


@cache
def filter_model(kernel_size, upscale, half=False, body=None, attributes=None):
    """ONNX bytes of one DynamicFilter node; ``body`` is the operator of a wrong function body."""
    onnx = pytest.importorskip("onnx", reason="needs onnx: pip install onnx")
    helper = onnx.helper
    element = onnx.TensorProto.FLOAT16 if half else onnx.TensorProto.FLOAT
    attributes = dict(attributes or {"kernel_size": kernel_size, "upscale": upscale})
    values = {
        "feature": ["N", "C", "H", "W"],
        "kernel": ["N", None, "h", "w"],
        "filtered": ["N", "C", "H", "W"],
    }
    infos = [helper.make_tensor_value_info(name, element, shape) for name, shape in values.items()]
    graph = helper.make_graph(
        [
            helper.make_node(
                "DynamicFilter", [*values][:2], ["filtered"], domain="mgdn", **attributes
            )
        ],
        "filter",
        infos[:2],
        infos[2:],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("mgdn", 1)]
    functions = []
    if body is not None:
        node = helper.make_node(body, ["feature"], ["filtered"])
        functions.append(
            helper.make_function(
                "mgdn",
                "DynamicFilter",
                ["feature", "kernel"],
                ["filtered"],
                [node],
                opsets[:1],
                attributes=["kernel_size", "upscale"],
            )
        )
    model = helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=10)
    return model.SerializeToString()


@cache
def attention_model(heads, window, shifted, body=False):
    """ONNX bytes of one attention node, with its function body where asked for."""
    onnx = pytest.importorskip("onnx", reason="needs onnx: pip install onnx")
    helper, element = onnx.helper, onnx.TensorProto.FLOAT
    operator = "ShiftedWindowAttention" if shifted else "WindowAttention"
    functions = []
    if body:
        from mgdn_edge.export.attention_body import make_attention_function

        functions.append(make_attention_function(operator, heads, window))
    node = helper.make_node(
        operator,
        ["qkv", "bias"],
        ["attended"],
        domain="mgdn",
        heads=heads,
        window=window,
    )
    values = [
        helper.make_tensor_value_info(name, element, [None] * rank)
        for name, rank in (("qkv", 4), ("bias", 3), ("attended", 4))
    ]
    graph = helper.make_graph([node], "attention", values[:2], values[2:])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("mgdn", 1)]
    model = helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=10)
    return model.SerializeToString()


@cache
def token_model(operator, body=False):
    """ONNX bytes of one NormalizedLinear or ResidualMlp, with its function body where asked for."""
    onnx = pytest.importorskip("onnx", reason="needs onnx: pip install onnx")
    helper, element = onnx.helper, onnx.TensorProto.FLOAT
    ranks = {"x": 4, "scale": 1, "shift": 1, "weight1": 2, "bias1": 1}
    outputs = ["result", "normed"]
    if operator == "ResidualMlp":
        ranks |= {"weight2": 2, "bias2": 1, "a": 4, "weight0": 2, "bias0": 1}
        outputs = ["result"]
    functions = []
    if body:
        from mgdn_edge.export.token_bodies import make_token_function

        functions.append(make_token_function(operator))
    inputs = [helper.make_tensor_value_info(n, element, [None] * r) for n, r in ranks.items()]
    results = [helper.make_tensor_value_info(name, element, [None] * 4) for name in outputs]
    node = helper.make_node(operator, [*ranks], outputs, domain="mgdn")
    graph = helper.make_graph([node], "tokens", inputs, results)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("mgdn", 1)]
    model = helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=10)
    return model.SerializeToString()


@cache
def open_model(model, registered=True, threads=2):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # refusals are tested, not printed
    if registered:
        options.register_custom_ops_library(str(native.find_library()))
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_model(session, feature, kernel):
    return session.run(None, {"feature": feature, "kernel": kernel})[0]


def filter_with_onnxruntime(feature, kernel, kernel_size, upscale=1):
    session = open_model(filter_model(kernel_size, upscale, feature.dtype == np.float16))
    return run_model(session, feature, kernel)


@cache
def body_model(kernel_size, upscale, dtype):
    """ONNX bytes of one DynamicFilter node with its function body."""
    pytest.importorskip("onnx", reason="needs onnx: pip install onnx")
    from mgdn_edge.export.dynamic_filter_body import single_filter

    return single_filter(kernel_size, upscale, dtype).SerializeToString()


def filter_with_body(feature, kernel, kernel_size, upscale=1):
    model = body_model(kernel_size, upscale, feature.dtype.name)
    return run_model(open_model(model, registered=False), feature, kernel)


@pytest.fixture(scope="session")
def cuda_on_host(tmp_path_factory):
    """The CUDA kernel built for this CPU."""
    return open_library(build_library(tmp_path_factory.mktemp("cuda_on_host")))


@pytest.fixture(
    params=[
        "core",
        "baseline",
        pytest.param("avx2", marks=pytest.mark.avx2),
        pytest.param("avx512", marks=pytest.mark.avx512),
        "onnxruntime",
        pytest.param("function-body", marks=pytest.mark.export),
        pytest.param("tensorrt", marks=pytest.mark.tensorrt_headers),
        pytest.param("cuda-on-host", marks=pytest.mark.compiler),
    ]
)
def host(request):
    """feature, kernel, kernel_size, upscale -> filtered, by one native host."""
    if request.param == "onnxruntime":
        return filter_with_onnxruntime
    if request.param == "function-body":
        return filter_with_body
    if request.param == "tensorrt":
        return request.getfixturevalue("filter_with_tensorrt")
    if request.param == "cuda-on-host":
        return partial(filter_with, request.getfixturevalue("cuda_on_host"))
    implementation = native.Implementation[request.param.upper()]

    def filter_natively(feature, kernel, kernel_size, upscale=1):
        return native.dynamic_filter(
            feature, kernel, kernel_size, upscale, implementation=implementation
        )

    return filter_natively


@pytest.fixture
def build_filter_model():
    return filter_model


@pytest.fixture
def build_attention_model():
    return attention_model


@pytest.fixture
def build_token_model():
    return token_model


@pytest.fixture
def open_filter_model():
    return open_model


class TensorrtHarness:
    """The harness of tests/plugins/tensorrt, built from a copy of the sources in ``folder``."""

    def __init__(self, repository, headers, folder):
        for part in ("plugins", "tests/plugins/tensorrt"):
            shutil.copytree(
                repository / part, folder / part, ignore=shutil.ignore_patterns("__pycache__")
            )
        self.plugin_sources = folder / "plugins" / "tensorrt"
        self.build_folder = folder / "build"
        self._run(
            *("cmake", "-S", folder / "tests" / "plugins" / "tensorrt", "-B", self.build_folder),
            f"-DTENSORRT_INCLUDE_DIR={headers / 'kernel_lens' / 'include' / 'tensorrt'}",
            "-DCMAKE_BUILD_TYPE=Debug",  # half of Release's time to build
        )

    def build(self, target):
        """The path of ``harness`` or ``mgdn_tensorrt.so``."""
        jobs = str(len(os.sched_getaffinity(0)))
        name = target.partition(".")[0]
        self._run("cmake", "--build", self.build_folder, "--target", name, "--parallel", jobs)
        return self.build_folder / target

    @staticmethod
    def _run(*words):
        result = subprocess.run(words, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]


@pytest.fixture(scope="session")
def tensorrt_harness(repository, tensorrt_root, tmp_path_factory):
    """The harness as it stands; not to be changed."""
    folder = tmp_path_factory.mktemp("tensorrt")
    return TensorrtHarness(repository, tensorrt_root / "headers", folder)


@pytest.fixture(scope="session")
def harness_program(tensorrt_harness) -> Path:
    return tensorrt_harness.build("harness")


@pytest.fixture
def filter_with_tensorrt(harness_program, tmp_path):
    """feature, kernel, kernel_size, upscale -> filtered, through the plugin's enqueue."""

    def filter_once(feature, kernel, kernel_size, upscale=1):
        paths = [tmp_path / name for name in ("feature", "kernel", "out")]
        for path, array in zip(paths[:2], (feature, kernel), strict=True):
            path.write_bytes(array.tobytes())
        kind = "half" if feature.dtype == np.float16 else "float"
        words = [kernel_size, upscale, kind, *feature.shape, *paths]
        subprocess.run([harness_program, "filter", *map(str, words)], check=True)
        return np.frombuffer(paths[2].read_bytes(), feature.dtype).reshape(feature.shape)

    return filter_once
