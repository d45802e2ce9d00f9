import pytest

from mgdn_edge.runtime.machine.ceilings import Ceilings
from mgdn_edge.runtime.measure.profiling.join_timeline import Part
from mgdn_edge.runtime.measure.profiling.profile_result import MOST_MODULES, group_modules
from mgdn_edge.runtime.measure.profiling.roofline import boundary_bytes, measure_part
from mgdn_edge.runtime.measure.profiling.timeline import Kernel

CEILINGS = Ceilings(2, gbps=10.0, gflops=100.0, copy_mib=64)  # ridge: 10 FLOP a byte


def part_of(graph, ns, moved, flops, kernels=1):
    node = graph.node("a/Conv", "Conv", ["x", "w"], flops=flops)
    made = tuple(Kernel("k", "Conv", ns / kernels, bytes=moved) for _ in range(kernels))
    return Part("a/Conv", "a", "Conv", "name", made, (node,))


@pytest.mark.parametrize(
    ("ns", "moved", "flops", "roof_ms", "bound"),
    [
        (1e6, 100_000, 50_000_000, 0.5, "arithmetic"),  # 50 of 100 GFLOP/s
        (1e6, 5_000_000, 1_000_000, 0.5, "memory"),  # 5 of 10 GB/s
        (1e6, 100_000, 1_000_000, 0.01, "neither"),
        (1e5, 5_000_000, 0, 0.5, "memory"),  # caches: five times the memory's bandwidth
        (1e6, 0, 0, 0.0, None),  # a view
        (0.0, 100, 100, 1e-5, "neither"),
    ],
)
def test_the_longer_of_bytes_and_arithmetic_is_the_roof(graph, ns, moved, flops, roof_ms, bound):
    found = measure_part(part_of(graph, ns, moved, flops), 1e7, CEILINGS, 1.0)
    assert found.roof_ms == pytest.approx(roof_ms)
    assert found.bound == bound
    if ns:
        assert found.of_roof == pytest.approx(roof_ms / (ns / 1e6), abs=1e-4)
        assert found.gflops == pytest.approx(flops / ns)
        assert found.gbps == pytest.approx(moved / ns)
        assert found.share == pytest.approx(ns / 1e7)


def test_arithmetic_grows_with_the_pixels_and_measured_bytes_do_not(graph):
    found = measure_part(part_of(graph, 1e6, 1000, 300), 1e7, CEILINGS, 4.0)
    assert (found.flops, found.bytes) == (1200, 1000)


def test_bytes_the_backend_does_not_say_are_those_of_the_nodes(graph):
    found = measure_part(part_of(graph, 1e6, None, 300), 1e7, CEILINGS, 4.0)
    assert found.bytes == 4 * 3 * 400


def test_kernels_of_one_part_move_the_sum(graph):
    found = measure_part(part_of(graph, 1e6, 1000, 300, kernels=3), 1e7, CEILINGS, 1.0)
    assert (found.bytes, found.kernels, found.ms) == (3000, 3, 1.0)


def test_without_measured_arithmetic_only_bytes_bound(graph):
    unknown = Ceilings(2, 10.0, None, 64)
    found = measure_part(part_of(graph, 1e6, 5_000_000, 10**9), 1e7, unknown, 1.0)
    assert found.bound == "memory"


def test_what_passes_between_fused_nodes_stays_inside(graph):
    conv = graph.node("a", "Conv", ["x", "w"])
    relu = graph.node("b", "Relu", ["a"])
    assert boundary_bytes([conv]) == 1200
    assert boundary_bytes([conv, relu]) == 1200  # x, w and b; a stays inside


def test_modules_are_cut_until_the_table_is_short(crafted):
    parts = [crafted.part(f"core.layers.{i // 8}.blocks.{i}/Conv", 0.1) for i in range(24)]
    groups = group_modules(parts)
    assert [group.name for group in groups] == [f"core.layers.{i}" + ".blocks" for i in range(3)]
    assert sum(group.ms for group in groups) == pytest.approx(2.4)
    assert len(groups) <= MOST_MODULES
    assert group_modules([]) == []
