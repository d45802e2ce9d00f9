"""The ONNX function bodies of ``mgdn::WindowAttention`` and ``mgdn::ShiftedWindowAttention``.

Standard operators of opset 18 for any N, H, W and head size; heads and window are unrolled, so one
file takes one pair of them. export/window_attention.py is the specification, line by line.
"""

import onnx
from onnx import helper

from mgdn_edge.export.dynamic_filter_body import DOMAIN, OPSET, TO_THE_END, BodyNodes
from mgdn_edge.plugins.window_attention import OTHER_REGION, PLAIN, SHIFTED

OPERATORS = (PLAIN, SHIFTED)


def make_attention_function(operator: str, heads: int, window: int) -> onnx.FunctionProto:
    """The body of ``operator``, one of OPERATORS, for ``heads`` and a window's side in pixels."""
    body = BodyNodes()
    shift = window // 2 if operator == SHIFTED else 0
    sizes = image_sizes(body, window, heads)
    moved = roll(body, "qkv", shift, "moved") if shift else "qkv"
    query, key, value = cut_windows(body, moved, sizes)
    logits = scaled_products(body, query, key, value)
    by_query = body.add("Transpose", ["bias"], "bias_by_query", perm=[0, 2, 1])
    logits = body.add("Add", [logits, by_query], "biased")
    if shift:
        mask = region_mask(body, sizes, shift)
        logits = body.add("Add", [logits, mask], "masked")
    weights = body.add("Softmax", [logits], "weights", axis=-1)
    mixed = body.add("MatMul", [weights, value], "mixed")
    join_windows(body, mixed, sizes, "joined" if shift else "attended")
    if shift:
        roll(body, "joined", -shift, "attended")
    return helper.make_function(
        DOMAIN,
        operator,
        inputs=["qkv", "bias"],
        outputs=["attended"],
        nodes=body.nodes,
        opset_imports=[helper.make_opsetid("", OPSET)],
        attributes=["heads", "window"],
    )


def image_sizes(body: BodyNodes, window: int, heads: int) -> dict[str, str]:
    """Name of each size as an int64 vector of one element; a band is a row of windows."""
    sizes = {
        name: body.add("Shape", ["qkv"], name, start=axis, end=axis + 1)
        for axis, name in enumerate(("batch", "height", "width"))
    }
    sizes |= {
        name: body.constant(name, [size])
        for name, size in (
            ("window", window),
            ("tokens", window * window),
            ("heads", heads),
            ("one", 1),
            ("three", 3),
            ("rest", -1),
        )
    }
    rows = body.add("Mul", [sizes["batch"], sizes["height"]], "rows")
    sizes["bands"] = body.add("Div", [rows, sizes["window"]], "bands")
    sizes["columns"] = body.add("Div", [sizes["width"], sizes["window"]], "columns")
    sizes["windows"] = body.add("Mul", [sizes["bands"], sizes["columns"]], "windows")
    return sizes


def reshape(body: BodyNodes, value: str, sizes: dict[str, str], names: str, output: str) -> str:
    """Reshape to the sizes of ``names``, words of ``sizes``."""
    shape = body.add("Concat", [sizes[name] for name in names.split()], f"{output}_shape", axis=0)
    return body.add("Reshape", [value, shape], output)


def roll(body: BodyNodes, value: str, shift: int, output: str) -> str:
    """(N, H, W, C) moved up and left by ``shift`` pixels, wrapping; negative moves back."""
    limits = [
        body.constant(f"{output}_{name}", [number])
        for name, number in (("first", 0), ("shift", shift), ("end", TO_THE_END))
    ]
    first, middle, end = limits
    for axis, name in ((1, f"{output}_rows"), (2, output)):
        along = body.constant(f"{name}_axis", [axis])
        kept = body.add("Slice", [value, middle, end, along], f"{name}_kept")
        wrapped = body.add("Slice", [value, first, middle, along], f"{name}_wrapped")
        value = body.add("Concat", [kept, wrapped], name, axis=axis)
    return value


def cut_windows(body: BodyNodes, moved: str, sizes: dict[str, str]) -> tuple[str, str, str]:
    """Query, key and value, each (1, windows, heads, T, d)."""
    parts = reshape(body, moved, sizes, "bands window columns window three heads rest", "parts")
    ordered = body.add("Transpose", [parts], "ordered", perm=[4, 0, 2, 5, 1, 3, 6])
    tokens = reshape(body, ordered, sizes, "three windows heads tokens rest", "by_token")
    names = ("query", "key", "value")
    ones = body.constant("ones", [1, 1, 1])
    body.nodes.append(helper.make_node("Split", [tokens, ones], names, axis=0))
    return names


def scaled_products(body: BodyNodes, query: str, key: str, value: str) -> str:
    """Q . k / sqrt(d) of every pair of tokens of a window."""
    size = body.add("Shape", [value], "head_size", start=4, end=5)
    root = body.add(
        "Sqrt", [body.add("Cast", [size], "head_size_f", to=onnx.TensorProto.FLOAT)], "root"
    )
    scaled = body.add("Div", [query, root], "scaled")
    turned = body.add("Transpose", [key], "turned", perm=[0, 1, 2, 4, 3])
    return body.add("MatMul", [scaled, turned], "logits")


def region_mask(body: BodyNodes, sizes: dict[str, str], shift: int) -> str:
    """(windows, 1, T, T): 0 between tokens of one region of the moved image, -100 across."""
    zero, one = body.constant("zero", 0), body.constant("scalar_one", 1)
    shifted = body.constant("shift", shift)
    borders = []
    for name, axis in (("height", 1), ("width", 0)):
        length = body.add("Squeeze", [sizes[name]], f"{name}_scalar")
        position = body.add("Range", [zero, length, one], f"{name}_position")
        last = body.add("Sub", [length, shifted], f"{name}_last")
        beyond = body.add("GreaterOrEqual", [position, last], f"{name}_beyond")
        number = body.add("Cast", [beyond], f"{name}_number", to=onnx.TensorProto.FLOAT)
        axes = body.constant(f"{name}_axes", [axis])
        borders.append(body.add("Unsqueeze", [number, axes], f"{name}_border"))
    two = body.constant("two", 2.0, "float32")
    region = body.add("Add", [body.add("Mul", [borders[0], two], "twice"), borders[1]], "region")
    images = body.add("Concat", [sizes[n] for n in ("batch", "height", "width")], "images", axis=0)
    region = body.add("Expand", [region, images], "regions")
    region = reshape(body, region, sizes, "bands window columns window", "region_parts")
    region = body.add("Transpose", [region], "region_windows", perm=[0, 2, 1, 3])
    of_query = reshape(body, region, sizes, "windows one tokens one", "region_of_query")
    of_key = reshape(body, region, sizes, "windows one one tokens", "region_of_key")
    same = body.add("Equal", [of_query, of_key], "same_region")
    none = body.constant("no_mask", 0.0, "float32")
    return body.add("Where", [same, none, body.constant("other", OTHER_REGION, "float32")], "mask")


def join_windows(body: BodyNodes, mixed: str, sizes: dict[str, str], output: str) -> str:
    """(1, windows, heads, T, d) -> (N, H, W, heads * d)."""
    parts = reshape(body, mixed, sizes, "bands columns heads window window rest", "mixed_parts")
    ordered = body.add("Transpose", [parts], "mixed_rows", perm=[0, 3, 1, 4, 2, 5])
    return reshape(body, ordered, sizes, "batch height width rest", output)
