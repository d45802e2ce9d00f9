"""Pass: names that say where a node comes from.

1. A node is called MODULE/OPERATOR or MODULE/OPERATOR_n, MODULE its dotted torch path.
2. A node's first output carries the node's name, further ones NAME:k; graph inputs and outputs
   keep theirs.
3. Parameters keep their torch names; other constants are called constant_n.
4. Exporter metadata (stack traces with local paths, class names) is dropped.

Names are stable across exports of the same code, so calibration ranges stay valid.
"""

import ast
from collections import Counter

import onnx_ir as ir

SCOPES = "pkg.torch.onnx.name_scopes"  # written by torch's exporter: module path per level
NO_MODULE = "_empty_nn_module_stack_from_metadata_hook"  # torch's word for size arithmetic


def name_by_module(model: ir.Model) -> None:
    """Rename nodes and values of ``model`` in place by the rules above."""
    graph = model.graph
    fixed = {id(value) for value in (*graph.inputs, *graph.outputs)}
    seen: Counter[str] = Counter()
    for node in graph:
        base = f"{module_path(node)}/{node.op_type}".lstrip("/")
        seen[base] += 1
        node.name = base if seen[base] == 1 else f"{base}_{seen[base] - 1}"
        node.metadata_props.clear()
        node.doc_string = None
        for position, value in enumerate(node.outputs):
            value.metadata_props.clear()
            if id(value) not in fixed:
                value.name = node.name if position == 0 else f"{node.name}:{position}"
    constants = [v for v in graph.initializers.values() if not is_parameter(v.name)]
    for value in constants:
        graph.initializers.pop(value.name or "")
    for number, value in enumerate(constants):
        value.name = f"constant_{number}"
        graph.initializers.add(value)
    model.metadata_props.clear()
    graph.metadata_props.clear()
    graph.doc_string = None


def module_path(node: ir.Node) -> str:
    """The torch module a node was traced in; "" for the outermost or for exporter glue."""
    text = node.metadata_props.get(SCOPES)
    if text is None:
        return ""
    scopes: list[str] = ast.literal_eval(text)
    module = scopes[-2] if len(scopes) > 1 else ""
    return "" if module == NO_MODULE else module


def is_parameter(name: str | None) -> bool:
    """Torch parameter names are dotted paths; the exporter's own constants are not."""
    return name is not None and "." in name
