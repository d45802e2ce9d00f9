"""The ONNX function body of ``mgdn::DynamicFilter``: the operation in standard operators.

It lets any ONNX runtime run our files; a runtime that has the native operation registered takes
that instead. A body is written for one (kernel_size, upscale), the only one a file may use,
because a function cannot unroll over an attribute.

The order of the nodes is part of the design. ONNX Runtime walks the graph depth first from the
result and, of a node's inputs, visits the one with the larger index first: with every sum listed
after every product, each sum asks for the sum before it, and one product is alive at a time.
Listed tap by tap, all products are computed before the first sum: at C=30, K=7, 640x480 that
peaks at 3.9 GB instead of 0.6 GB, same bits (ONNX Runtime 1.31.1; figures in docs/LOG.md).
"""

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

DOMAIN = "mgdn"
OPERATOR = "DynamicFilter"
OPERATION_VERSION = 1
OPSET = 18
TO_THE_END = np.iinfo(np.int64).max  # as a Slice end


class BodyNodes:
    """The nodes of a function body, in execution-relevant order."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []

    def constant(self, name: str, values: npt.ArrayLike, dtype: npt.DTypeLike = np.int64) -> str:
        """Add a constant and return its name."""
        tensor = numpy_helper.from_array(np.array(values, dtype))
        self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        return name

    def add(
        self,
        operator: str,
        inputs: list[str],
        output: str,
        **attributes: str | int | float | list[int],
    ) -> str:
        """Add a node with one output and return the output's name."""
        node = helper.make_node(operator, inputs, [output])
        node.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
        self.nodes.append(node)
        return output


def make_function(kernel_size: int, upscale: int) -> onnx.FunctionProto:
    """The body for kernel size K and upscale s: K*K weights, shifted features, products, sums."""
    body = BodyNodes()
    weights = tap_weights(body, kernel_size, upscale)
    neighbours = tap_neighbours(body, kernel_size)
    products = [
        body.add("Mul", [neighbour, weight], f"product_{tap}")
        for tap, (neighbour, weight) in enumerate(zip(neighbours, weights, strict=True))
    ]
    total = products[0]
    for tap, product in enumerate(products[1:], start=1):
        last = tap == len(products) - 1
        total = body.add("Add", [total, product], "filtered" if last else f"sum_{tap}")
    return helper.make_function(
        DOMAIN,
        OPERATOR,
        inputs=["feature", "kernel"],
        outputs=["filtered"],
        nodes=body.nodes,
        opset_imports=[helper.make_opsetid("", OPSET)],
        attributes=["kernel_size", "upscale"],
    )


def single_filter(kernel_size: int, upscale: int, dtype: str) -> onnx.ModelProto:
    """A model of one DynamicFilter and its body; ``dtype`` is "float32" or "float16"."""
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    names = ["feature", "kernel", "filtered"]
    values = [helper.make_tensor_value_info(name, element, [None] * 4) for name in names]
    node = helper.make_node(OPERATOR, names[:2], names[2:], domain=DOMAIN)
    for name, value in (("kernel_size", kernel_size), ("upscale", upscale)):
        node.attribute.append(helper.make_attribute(name, value))
    graph = helper.make_graph([node], "filter", values[:2], values[2:])
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, OPERATION_VERSION)]
    return helper.make_model(
        graph,
        functions=[make_function(kernel_size, upscale)],
        opset_imports=opsets,
        ir_version=10,
    )


def tap_weights(body: BodyNodes, kernel_size: int, upscale: int) -> list[str]:
    """Names of K*K tensors (N, 1, H, W): the kernel's planes, interpolated one at a time.

    Plane by plane, because the whole kernel at full size is K*K images; and with N moved to the
    channel axis, because ONNX Runtime's Resize spreads its threads over channels only.
    """
    taps = kernel_size * kernel_size
    channel = body.constant("channel", [1])
    planes = [
        body.add(
            "Slice",
            [
                "kernel",
                body.constant(f"tap_{tap}", [tap]),
                body.constant(f"end_{tap}", [tap + 1]),
                channel,
            ],
            f"plane_{tap}",
        )
        for tap in range(taps)
    ]
    if upscale == 1:
        return planes
    scales = body.constant("scales", [1, 1, upscale, upscale], np.float32)
    as_channels, as_batch = (
        body.constant("as_channels", [1, -1, 0, 0]),
        body.constant("as_batch", [-1, 1, 0, 0]),
    )
    weights = []
    for tap, plane in enumerate(planes):
        small = body.add("Reshape", [plane, as_channels], f"small_{tap}")
        large = body.add(
            "Resize",
            [small, "", scales],
            f"large_{tap}",
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )
        weights.append(body.add("Reshape", [large, as_batch], f"weight_{tap}"))
    return weights


def tap_neighbours(body: BodyNodes, kernel_size: int) -> list[str]:
    """Names of K*K tensors (N, C, H, W): the feature shifted by every tap, border repeated."""
    border = kernel_size // 2
    pads = body.constant("pads", [0, 0, border, border, 0, 0, border, border])
    padded = body.add("Pad", ["feature", pads], "padded", mode="edge")
    spatial = body.constant("spatial", [2, 3])
    neighbours = []
    for tap in range(kernel_size * kernel_size):
        offset = divmod(tap, kernel_size)
        start = body.constant(f"from_{tap}", offset)
        # Ends count from the far side, so no size is computed: 0 cut off means to the end.
        end = body.constant(f"to_{tap}", [(o - 2 * border) or TO_THE_END for o in offset])
        neighbours.append(body.add("Slice", [padded, start, end, spatial], f"neighbour_{tap}"))
    return neighbours
