"""Graphs and timelines small enough to check by hand."""

import pytest

from mgdn_edge.runtime.bundle.graph_facts import GraphFacts, NodeFacts, TensorFacts
from mgdn_edge.runtime.machine.ceilings import Ceilings
from mgdn_edge.runtime.machine.conditions import Conditions
from mgdn_edge.runtime.measure.profiling.profile_result import (
    SCHEMA,
    Account,
    PartFigures,
    ProfileReport,
    group_modules,
    group_parts,
)
from mgdn_edge.runtime.measure.profiling.timeline import Kernel, Timeline
from mgdn_edge.runtime.stream.latency import Percentiles

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


def percentiles_of(ms, p95=None):
    return Percentiles(ms, p95 or ms, p95 or ms, p95 or ms, 60, 0)


def part_of(name, ms, operator="Conv", frame_ms=10.0, **changes):
    values = {
        "name": name, "module": name.rpartition("/")[0], "operator": operator, "how": "name",
        "is_layout": False, "ms": ms, "share": ms / frame_ms, "kernels": 1, "nodes": (name,),
        "flops": 10_000_000, "bytes": 100_000, "roof_ms": ms / 2, "of_roof": 0.5,
        "bound": "arithmetic",
    }  # fmt: skip
    return PartFigures(**{**values, **changes})


def conditions_of(**changes):
    values = {
        "power_mode": None, "clocks": (), "temperatures": {}, "throttle_counts": {}, "rails": {},
        "gpus": (), "load": (),
    }  # fmt: skip
    return Conditions(**{**values, **changes})


def report_of(*parts, **changes):
    """A sound profile of a 10 ms frame of these parts."""
    spent = sum(part.ms for part in parts)
    account = Account(spent, 0.1, 0.0, 0.0, 10.0, 0.1, 10.0, 1.0, 0.0)
    stages = dict.fromkeys(("infer_wait", "writer_wait", "copy_in", "copy_out"), 0.01)
    stages = {name: percentiles_of(ms) for name, ms in {**stages, "infer": 10, "fuse": 10}.items()}
    values = {
        "schema": SCHEMA, "network": "tiny", "backend": "onnxruntime-cpu", "variant": "dynamic",
        "precision": "fp32", "filter_implementation": "native", "size": "10x10",
        "facts_size": "10x10", "threads": 2, "usable_cpus": 2, "frames": 60, "account": account,
        "stages": stages, "inside": {"network": spent}, "parts": list(parts),
        "modules": group_modules(parts),
        "operators": group_parts(parts, lambda part: part.operator),
        "ceilings": Ceilings(2, 40.0, 200.0, 128),
        "conditions": (conditions_of(), conditions_of()), "energy": None, "versions": {},
    }  # fmt: skip
    return ProfileReport(**{**values, **changes})


@pytest.fixture(scope="session")
def crafted():
    """``crafted.part``, ``crafted.report``, ``crafted.conditions``, ``crafted.percentiles``."""

    class Crafted:
        part = staticmethod(part_of)
        report = staticmethod(report_of)
        conditions = staticmethod(conditions_of)
        percentiles = staticmethod(percentiles_of)

    return Crafted
