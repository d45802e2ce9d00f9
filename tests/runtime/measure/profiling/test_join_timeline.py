"""Kernels of hand-made timelines against hand-made graphs, rule by rule."""

import pytest

from mgdn_edge.runtime.measure.profiling.join_timeline import join_timeline
from mgdn_edge.runtime.measure.profiling.timeline import Kernel


def joined(graph, facts, *kernels):
    parts = join_timeline(graph.timeline(*kernels), facts)
    return {part.name: part for part in parts}


def names(part):
    return [node.name for node in part.nodes]


@pytest.fixture
def facts(graph):
    """visible -> Cast -> stem Conv, Relu -> block Conv, Add (with the stem), Relu -> filter."""
    node = graph.node
    return graph.facts(
        node("Cast", "Cast", ["visible"], flops=0),
        node("core.stem/Conv", "Conv", ["Cast"], flops=5000),
        node("core.act/Relu", "Relu", ["core.stem/Conv"]),
        node("core.block/Conv", "Conv", ["core.act/Relu"], flops=9000),
        node("core/Add", "Add", ["core.block/Conv", "core.act/Relu"]),
        node("core.act/Relu_1", "Relu", ["core/Add"]),
        node("core.filter/DynamicFilter", "mgdn::DynamicFilter", ["core.act/Relu_1", "Cast"]),
        node("Round", "Round", ["core.filter/DynamicFilter"]),
    )


def test_names_and_fusions(graph, facts):
    found = joined(
        graph,
        facts,
        ("Cast", "Cast"),
        ("core.act/Relu", "Conv"),  # the convolution under its activation's name
        ("core.block/Conv", "FusedConv"),
        ("core.filter/DynamicFilter", "DynamicFilter"),
        ("Round", "Round"),
    )
    assert names(found["core.stem/Conv"]) == ["core.stem/Conv", "core.act/Relu"]
    assert names(found["core.block/Conv"]) == ["core.block/Conv", "core/Add", "core.act/Relu_1"]
    assert found["core.block/Conv"].operator == "Conv"
    assert found["core.block/Conv"].module == "core.block"
    assert {part.how for part in found.values()} == {"name"}
    assert sum(len(part.nodes) for part in found.values()) == len(facts.nodes)


def test_inserted_kernels_belong_to_their_neighbours(graph, facts):
    found = joined(
        graph,
        facts,
        ("Cast", "Cast"),
        ("ReorderInput", "ReorderInput"),
        ("core.act/Relu", "Conv"),
        ("core.block/Conv", "Conv"),
        ("ReorderOutput", "ReorderOutput"),
        ("core.filter/DynamicFilter", "DynamicFilter"),
        ("Round", "Round"),
        ("gemm_output_reshape", "Reshape"),
    )
    assert found["ReorderInput"].module == "core.act"
    assert found["ReorderOutput"].module == "core.block"
    assert found["gemm_output_reshape"].module == ""
    for name in ("ReorderInput", "ReorderOutput"):
        assert found[name].is_layout and found[name].how == "order" and not found[name].nodes
    assert not found["core.block/Conv"].is_layout


def test_a_function_body_is_one_part(graph, facts):
    found = joined(
        graph,
        facts,
        ("Cast", "Cast"),
        ("Pad_63", "Pad"),  # may run before what else the filter needs
        ("core.act/Relu", "Conv"),
        ("core.block/Conv", "Conv"),
        ("Slice_7", "Slice"),
        ("Reshape_8", "Reshape"),
        ("Mul_74", "Mul", 5000.0),
        ("Round", "Round"),
    )
    body = found["core.filter/DynamicFilter"]
    assert [kernel.name for kernel in body.kernels] == ["Pad_63", "Slice_7", "Reshape_8", "Mul_74"]
    assert (body.how, body.operator, body.ns) == ("order", "DynamicFilter", 8000)
    assert names(body) == ["core.filter/DynamicFilter"]


def test_two_bodies_are_told_apart_by_when_they_run(graph):
    node = graph.node
    facts = graph.facts(
        node("a/F", "mgdn::F", ["x"]),
        node("a/Exp", "Exp", ["a/F"]),
        node("b/F", "mgdn::F", ["a/Exp"]),
        node("b/Exp", "Exp", ["b/F"]),
    )
    kernels = [("Mul", "Mul"), ("a/Exp", "Exp"), ("Mul_1", "Mul"), ("Add", "Add"), ("b/Exp", "Exp")]
    found = joined(graph, facts, *kernels)
    assert [kernel.name for kernel in found["a/F"].kernels] == ["Mul"]
    assert [kernel.name for kernel in found["b/F"].kernels] == ["Mul_1", "Add"]


def test_a_fusion_without_a_name_takes_the_nodes_that_run_now(graph):
    node = graph.node
    facts = graph.facts(
        node("fc1/MatMul", "MatMul", ["x"], flops=9000),
        node("fc1/Add", "Add", ["fc1/MatMul"]),
        node("mlp/Erf", "Erf", ["fc1/Add"]),
        node("mlp/Mul", "Mul", ["fc1/Add", "mlp/Erf"]),
        node("fc2/MatMul", "MatMul", ["mlp/Mul"], flops=9000),
    )
    found = joined(graph, facts, ("fc1/MatMul", "Gemm"), ("Gelu", "Gelu"), ("fc2/MatMul", "MatMul"))
    assert (found["mlp/Mul"].module, found["mlp/Mul"].operator) == ("mlp", "Gelu")
    assert "mlp/Erf" in names(found["mlp/Mul"])


def test_what_fits_nowhere_is_unknown(graph, facts):
    kernels = [(each.name, each.operator) for each in facts.nodes]
    found = joined(graph, facts, *kernels, ("mystery", "Whatever"))
    assert found["mystery"].how == "unknown"
    assert found["mystery"].module == "" and not found["mystery"].nodes


def test_a_name_that_only_begins_alike_is_no_match(graph):
    facts = graph.facts(graph.node("Mul", "Mul", ["x"]))
    found = joined(graph, facts, ("Mul", "Mul"), ("Mul_7", "Mul"))
    assert found["Mul_7"].how == "unknown"


def test_a_range_stands_for_all_nodes_between(graph, facts):
    region = Kernel("region", "Myelin", 7.0, ranges=(("core.stem/Conv", "core.act/Relu_1"),))
    rest = [("core.filter/DynamicFilter", "Plugin"), ("Round", "Round")]
    found = joined(graph, facts, ("Cast", "Cast"), region, *rest)
    assert len(found["core.block/Conv"].nodes) == 5


def test_times_are_kept_to_the_nanosecond(graph, facts):
    kernels = [(f"k{i}", operator, 10.0 + i) for i, operator in enumerate(["Pad", "Conv", "Mul"])]
    timeline = graph.timeline(*kernels, ("Cast", "Cast", 1.5))
    assert sum(part.ns for part in join_timeline(timeline, facts)) == timeline.kernels_ns


def test_an_empty_graph_and_no_kernels(graph, facts):
    assert join_timeline(graph.timeline(), facts) == []
    (part,) = join_timeline(graph.timeline(("a", "Conv")), graph.facts())
    assert part.how == "unknown"
