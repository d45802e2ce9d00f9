"""Graphs and timelines small enough to check by hand."""

import pytest

from mgdn_edge.runtime.graph_facts import GraphFacts, NodeFacts, TensorFacts
from mgdn_edge.runtime.profiling.timeline import Kernel, Timeline

SIDE = 10  # each tensor is (1, 1, 10, 10) float32: 400 bytes


def tensor(name):
    return TensorFacts(name, (1, 1, SIDE, SIDE), "float32")


def node(name, operator, reads, flops=100):
    """A node whose output is named after it."""
    return NodeFacts(
        name=name,
        module=name.rpartition("/")[0],
        operator=operator,
        inputs=tuple(tensor(each) for each in reads),
        outputs=(tensor(name),),
        bytes_read=400 * len(reads),
        bytes_written=400,
        flops=flops,
    )


def facts_of(*nodes):
    return GraphFacts("tiny", "plain", SIDE, SIDE, nodes, sum(n.flops for n in nodes), 0)


def timeline_of(*kernels, **rest):
    """(name, operator) or (name, operator, ns) or Kernel -> a Timeline, 1000 ns each."""
    made = [
        each
        if isinstance(each, Kernel)
        else Kernel(each[0], each[1], each[2] if len(each) > 2 else 1000.0, nodes=(each[0],))
        for each in kernels
    ]
    return Timeline(tuple(made), **{"between_ns": 0.0, "session_ns": 0.0, "frames": 1, **rest})


@pytest.fixture(scope="session")
def graph():
    """``graph.node``, ``graph.facts``, ``graph.timeline``."""

    class Graph:
        facts = staticmethod(facts_of)
        timeline = staticmethod(timeline_of)

    Graph.node = staticmethod(node)
    return Graph
