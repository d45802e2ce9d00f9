"""Node by node: each torch module's output beside the ONNX tensor that matches it.

Forward hooks record what every module returned last; the last ONNX node traced in a module or
its submodules (names start with the module's path) yields the same values. Modules that return
no tensor, or whose last node the exporter merged into another, are left out.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn

from mgdn_edge.export.frame_network import PaddedNetwork
from mgdn_edge.export.network_catalogue import LoadedNetwork
from mgdn_edge.runtime.bundle.onnx_file import rewrite_model
from mgdn_edge.runtime.fusion.backends.onnxruntime_graph import load_graph

Array = npt.NDArray[np.generic]

# Relative to the tensor's largest magnitude: float32 sums in another order stay below 1e-5 in
# every network here; a wrong tap, weight or border is above 1e-2.
NODE_TOLERANCE = 1e-4


class NodeParity(msgspec.Struct, frozen=True):
    """One module's output: largest and mean error, and the errors' scale, all absolute.

    ``passed`` is max_error <= NODE_TOLERANCE * max(scale, 1) with all values finite.
    """

    name: str
    module: str
    max_error: float
    mean_error: float
    scale: float
    passed: bool


def compare_nodes(
    path: Path, loaded: LoadedNetwork, images: Sequence[npt.NDArray[np.float32]]
) -> list[NodeParity]:
    """Core graph file and its inputs -> parity of every comparable node, in graph order."""
    wanted = record_modules(
        PaddedNetwork(loaded.core, loaded.spec), [torch.from_numpy(image) for image in images]
    )
    model = onnx.load_model_from_string(rewrite_model(path.read_bytes(), str(path)))
    produced = {
        tensor: module for tensor, module in last_tensors(model).items() if module in wanted
    }
    outputs = {value.name for value in model.graph.output}
    for name in produced:
        if name not in outputs:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    feed = {key: image for (key, _), image in zip(loaded.inputs, images, strict=True)}
    got = run_named(model, list(produced), feed)
    rows = []
    for name, module in produced.items():
        if got[name].size == wanted[module].size:
            rows.append(compare_node(name, module, got[name], wanted[module]))
    return rows


def last_tensors(model: onnx.ModelProto) -> dict[str, str]:
    """Tensor -> the innermost module it is the last one of, in graph order.

    The last node of a module may lie in a submodule; both then return the same tensor.
    """
    last: dict[str, str] = {}
    for node in model.graph.node:
        path = node.name.rpartition("/")[0].split(".")
        for depth in range(1, len(path) + 1):
            module = ".".join(path[:depth])
            last.pop(module, None)
            last[module] = node.output[0]
    deeper_last = sorted(last.items(), key=lambda item: item[0].count("."))
    innermost = {tensor: module for module, tensor in deeper_last}
    order = {node.output[0]: position for position, node in enumerate(model.graph.node)}
    return dict(sorted(innermost.items(), key=lambda item: order[item[0]]))


def record_modules(network: nn.Module, images: Sequence[Tensor]) -> dict[str, Array]:
    """Module path -> the array its last call returned; modules that return no tensor are out."""
    outputs: dict[str, Array] = {}

    def record(path: str) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, arguments: object, output: object) -> None:
            if isinstance(output, Tensor):
                outputs[path] = output.detach().numpy()

        return hook

    hooks = [part.register_forward_hook(record(path)) for path, part in network.named_modules()]
    try:
        with torch.no_grad():
            network(*images)
    finally:
        for hook in hooks:
            hook.remove()
    return outputs


def run_named(
    model: onnx.ModelProto, names: list[str], feed: dict[str, npt.NDArray[np.float32]]
) -> dict[str, Array]:
    """Model and tensor names -> their arrays, unoptimised so that every node is really run."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = load_graph(model.SerializeToString(), "the core graph", options)
    return dict(zip(names, session.run(names, feed), strict=True))


def compare_node(name: str, module: str, got: Array, wanted: Array) -> NodeParity:
    """Two arrays of equal size -> NodeParity; NaN never passes."""
    difference = np.abs(got.reshape(-1).astype(np.float64) - wanted.reshape(-1).astype(np.float64))
    worst, scale = float(difference.max()), float(np.abs(wanted).max())
    passed = worst <= NODE_TOLERANCE * max(scale, 1.0)
    return NodeParity(name, module, worst, float(difference.mean()), scale, passed)
