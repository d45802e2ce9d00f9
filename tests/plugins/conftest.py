"""The hosts of DynamicFilter: everything that computes it natively, behind one signature."""

from functools import cache, partial

import numpy as np
import pytest
from cuda_on_host import build_library, filter_with, open_library

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
        pytest.param("cuda-on-host", marks=pytest.mark.compiler),
    ]
)
def host(request):
    """feature, kernel, kernel_size, upscale -> filtered, by one native host."""
    if request.param == "onnxruntime":
        return filter_with_onnxruntime
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
def open_filter_model():
    return open_model
