"""The filter in torch and as an ONNX function body, against the numpy specification."""

import itertools
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from safetensors.numpy import load_file

from mgdn_edge.export.dynamic_filter import dynamic_filter
from mgdn_edge.export.dynamic_filter_body import make_function
from mgdn_edge.plugins import reference

pytestmark = pytest.mark.export

SIZES = [(1, 1), (1, 9), (5, 3), (17, 23)]
# Sums of up to 49 float32 products of numbers around one.
TOLERANCE = 2e-5


def in_torch(feature, kernel, kernel_size, upscale):
    return dynamic_filter(
        torch.from_numpy(feature), torch.from_numpy(kernel), kernel_size, upscale
    ).numpy()


def body_model(kernel_size: int, upscale: int, function: onnx.FunctionProto | None = None) -> bytes:
    sides = ["N", "C", "H", "W"]
    graph = helper.make_graph(
        [
            helper.make_node(
                "DynamicFilter",
                ["feature", "kernel"],
                ["out"],
                domain="mgdn",
                kernel_size=kernel_size,
                upscale=upscale,
            )
        ],
        "filter",
        [
            helper.make_tensor_value_info("feature", TensorProto.FLOAT, sides),
            helper.make_tensor_value_info("kernel", TensorProto.FLOAT, ["N", "T", "h", "w"]),
        ],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, sides)],
    )
    model = helper.make_model(
        graph,
        functions=[function or make_function(kernel_size, upscale)],
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("mgdn", 1)],
        ir_version=10,
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


def in_onnxruntime(feature, kernel, kernel_size, upscale):
    session = onnxruntime.InferenceSession(body_model(kernel_size, upscale))
    return session.run(None, {"feature": feature, "kernel": kernel})[0]


def operands(size: tuple[int, int], kernel_size: int, upscale: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    height, width = (side * upscale for side in size)
    feature = rng.standard_normal((2, 3, height, width)).astype(np.float32)
    kernel = rng.standard_normal((2, kernel_size**2, *size)).astype(np.float32)
    return feature, kernel


@pytest.mark.parametrize("host", [in_torch, in_onnxruntime])
@pytest.mark.parametrize(
    ("kernel_size", "upscale", "size"), list(itertools.product([3, 5, 7], [1, 2, 4], SIZES))
)
def test_every_host_computes_the_specification(host, kernel_size, upscale, size) -> None:
    feature, kernel = operands(size, kernel_size, upscale)
    wanted = reference.dynamic_filter(feature, kernel, kernel_size, upscale)
    np.testing.assert_allclose(
        host(feature, kernel, kernel_size, upscale), wanted, rtol=0, atol=TOLERANCE
    )


@pytest.mark.data
@pytest.mark.parametrize("case", ["fac_1x6x9x11", "fac_2x6x5x4", "fac3"])
@pytest.mark.parametrize("host", [in_torch, in_onnxruntime])
def test_every_host_computes_the_official_filter(shared: Path, host, case: str) -> None:
    golden = load_file(shared / "golden/mgdn/dynamic_filter.safetensors")
    fused = host(golden[f"{case}.feat"], golden[f"{case}.kernel"], 7, 1)
    np.testing.assert_allclose(fused, golden[f"{case}.out"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("host", [in_torch, in_onnxruntime])
def test_nan_stays_in_its_neighbourhood(host) -> None:
    feature, kernel = operands((15, 15), 5, 1)
    feature[0, 0, 7, 7] = np.nan
    touched = np.isnan(host(feature, kernel, 5, 1))
    assert touched[0, 0, 5:10, 5:10].all()
    assert touched.sum() == 25


def test_swapped_taps_and_zero_border_in_a_body_are_caught() -> None:
    feature, kernel = operands((6, 5), 3, 1)
    wanted = reference.dynamic_filter(feature, kernel, 3)

    def error(function: onnx.FunctionProto) -> float:
        session = onnxruntime.InferenceSession(body_model(3, 1, function))
        return float(
            np.abs(session.run(None, {"feature": feature, "kernel": kernel})[0] - wanted).max()
        )

    swapped = make_function(3, 1)
    products = [node for node in swapped.node if node.op_type == "Mul"]
    products[0].input[1], products[8].input[1] = products[8].input[1], products[0].input[1]
    assert error(swapped) > 0.1

    zero_border = make_function(3, 1)
    pad = next(node for node in zero_border.node if node.op_type == "Pad")
    pad.attribute[0].s = b"constant"
    assert error(zero_border) > 0.1


def test_the_filter_has_gradients() -> None:
    feature, kernel = (
        torch.from_numpy(x).double().requires_grad_() for x in operands((2, 3), 3, 2)
    )
    assert torch.autograd.gradcheck(lambda f, k: dynamic_filter(f, k, 3, 2), (feature, kernel))


@pytest.mark.parametrize(("kernel_size", "upscale"), [(4, 1), (9, 1), (3, 3)])
def test_sizes_outside_the_operation_are_refused(kernel_size: int, upscale: int) -> None:
    with pytest.raises(ValueError, match="K is 3, 5 or 7"):
        dynamic_filter(torch.zeros(1, 1, 4, 4), torch.zeros(1, 16, 4, 4), kernel_size, upscale)
