"""Inspector JSON written by hand after TensorRT's documentation; no engine has been profiled."""

import json

import msgspec
import pytest

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.measure.profiling.join_timeline import join_timeline
from mgdn_edge.runtime.measure.profiling.tensorrt_layers import read_layers


def tensor(name, shape, kind):
    return {"Name": name, "Dimensions": shape, "Format/Datatype": kind}


CONV = "core.stem/Conv + PWN(core.act/Relu)"
REFORMAT = "Reformatting CopyNode for Input Tensor 0 to core.stem/Conv + PWN(core.act/Relu)"
INSPECTOR = {
    "Layers": [
        {
            "Name": REFORMAT,
            "LayerType": "Reformat",
            "Inputs": [tensor("x", [1, 2, 4, 4], "Row major linear FP32")],
            "Outputs": [tensor("y", [1, 2, 4, 4], "Channel major FP16 format where channel % 8")],
            "Metadata": "[ONNX Layer: core.stem/Conv]",
        },
        {
            "Name": CONV,
            "LayerType": "CaskConvolution",
            "Inputs": [tensor("y", [1, 2, 4, 4], "Half")],
            "Outputs": [
                tensor("z", [1, 8, 4, 4], "Thirty-two wide channel vectorized Int8 format")
            ],
            "Metadata": "[ONNX Layer: core.stem/Conv]\x1f[ONNX Layer: core.act/Relu]\x1e",
        },
    ],
    "Bindings": ["x", "fused"],
}
ROWS = [[(REFORMAT, 1000), (CONV, 5000)], [(REFORMAT, 3000), (CONV, 7000)]]


@pytest.fixture
def facts(graph):
    return graph.facts(
        graph.node("core.stem/Conv", "Conv", ["x"], flops=5000),
        graph.node("core.act/Relu", "Relu", ["core.stem/Conv"]),
        graph.node("core.head/Conv", "Conv", ["core.act/Relu"], flops=5000),
        graph.node("Round", "Round", ["core.head/Conv"]),
    )


def test_layers_are_joined_to_nodes_by_the_inspectors_metadata(facts):
    timeline = read_layers(ROWS, json.dumps(INSPECTOR), total_ns=9500.0)
    reformat, conv = timeline.kernels
    assert (reformat.operator, reformat.is_layout, reformat.nodes) == ("Reformat", True, ())
    assert (reformat.ns, reformat.bytes) == (2000.0, 128 + 64)
    assert (conv.nodes, conv.ns) == (("core.stem/Conv", "core.act/Relu"), 6000.0)
    assert conv.bytes == 64 + 128
    assert (timeline.between_ns, timeline.frames) == (1500.0, 2)
    first, second = join_timeline(timeline, msgspec.structs.replace(facts, nodes=facts.nodes[:2]))
    assert (first.is_layout, first.module, first.how) == (True, "core.stem", "order")
    assert (second.name, second.operator, second.how) == ("core.stem/Conv", "Conv", "name")
    assert [node.name for node in second.nodes] == ["core.stem/Conv", "core.act/Relu"]


def test_without_metadata_nodes_are_read_from_names(facts):
    region = "{ForeignNode[core.head/Conv...Round]}"
    rows = [[(CONV, 5), ("PWN(PWN(Round), Other)", 1), (region, 9)]]
    names_only = json.dumps({"Layers": [name for name, _ in rows[0]]})
    conv, wrapped, foreign = read_layers(rows, names_only).kernels
    assert conv.nodes == ("core.stem/Conv", "core.act/Relu")
    assert "Round" in "".join(wrapped.nodes)
    assert foreign.ranges == (("core.head/Conv", "Round"),) and foreign.nodes == ()
    assert foreign.bytes is None
    parts = join_timeline(read_layers([[rows[0][0], rows[0][2]]], names_only), facts)
    assert [len(part.nodes) for part in parts] == [2, 2]


def test_a_reformat_is_known_by_its_name_too():
    found = read_layers([[(REFORMAT, 1)]], json.dumps({"Layers": [REFORMAT]}))
    assert found.kernels[0].is_layout


def test_layers_the_inspector_does_not_know_keep_their_names():
    found = read_layers([[("mystery", 4)]], "{}")
    assert (found.kernels[0].name, found.kernels[0].operator) == ("mystery", "layer")


def test_an_unknown_format_gives_no_bytes():
    layer = {"Name": "a", "LayerType": "X", "Inputs": [tensor("x", [4], "Nibbles")]}
    assert read_layers([[("a", 1)]], json.dumps({"Layers": [layer]})).kernels[0].bytes is None


@pytest.mark.parametrize(
    ("rows", "inspector", "message"),
    [
        ([], "{}", "no layers"),
        ([[]], "{}", "no layers"),
        ([[("a", 1)], [("b", 1)]], "{}", "other layers"),
        ([[("a", 1)]], "not json", "not JSON"),
        ([[("a", 1)]], "[]", "not JSON"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(rows, inspector, message):
    with pytest.raises(UserError, match=message):
        read_layers(rows, inspector)
