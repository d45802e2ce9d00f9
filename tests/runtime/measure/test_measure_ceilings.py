import sys

import numpy as np
import pytest

from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import session_options
from mgdn_edge.runtime.fusion.backends.onnxruntime_graph import load_graph
from mgdn_edge.runtime.machine.ceilings import Ceilings
from mgdn_edge.runtime.measure import measure_ceilings
from mgdn_edge.runtime.measure.measure_ceilings import MIB, copy_bytes
from mgdn_edge.runtime.measure.profiling import profiler_cost


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(measure_ceilings, "SECONDS", 0.0)
    monkeypatch.setattr(measure_ceilings, "LEAST_COPY", MIB)
    monkeypatch.setattr(measure_ceilings, "MOST_COPY", MIB)
    monkeypatch.setattr(measure_ceilings, "SIDE", 64)


def test_both_are_measured_on_the_threads_asked_for(quick):
    found = measure_ceilings.measure_ceilings(threads=1)
    assert (found.threads, found.copy_mib) == (1, 1)
    assert found.gbps > 0 and found.gflops > 0
    assert found.ridge == pytest.approx(found.gflops / found.gbps)


def test_figures_are_operations_and_bytes_over_seconds(quick, monkeypatch):
    monkeypatch.setattr(measure_ceilings, "best_seconds", lambda run: 0.001)
    found = measure_ceilings.measure_ceilings(threads=2)
    assert found.gbps == round(2 * MIB / 0.001 / 1e9, 2)
    assert found.gflops == round(2 * 64**3 / 0.001 / 1e9, 1)


def test_the_copy_copies_every_byte():
    run = measure_ceilings._copy(1001, 3)
    run()
    parts = run.__closure__
    pairs = next(cell.cell_contents for cell in parts if isinstance(cell.cell_contents, list))
    assert sum(len(target) for target, _ in pairs) == 1001
    assert all((target == 1).all() for target, _ in pairs)


def test_without_onnxruntime_arithmetic_is_unknown(quick, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found = measure_ceilings.measure_ceilings(1)
    assert found.gflops is None and found.ridge is None
    assert "no ONNX Runtime" in found.sentence()


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((), 64), (("32K", "1024K"), 64), (("48K", "32768K"), 128), (("1048576K",), 256)],
)
def test_arrays_outgrow_the_caches_and_stay_small(tmp_path, sizes, expected):
    for index, size in enumerate((*sizes, "broken")):
        folder = tmp_path / f"sys/devices/system/cpu/cpu0/cache/index{index}"
        folder.mkdir(parents=True)
        (folder / "size").write_text(f"{size}\n")
    assert copy_bytes(tmp_path) == expected * MIB


def test_the_sentence_says_threads():
    assert "on 1 thread" in Ceilings(1, 10.0, 20.0, 64).sentence()
    assert "10.0 GB/s" in Ceilings(2, 10.0, 20.0, 64).sentence()


def test_the_measured_product_is_a_product():
    session = load_graph(measure_ceilings.PRODUCT.read_bytes(), "the product", session_options(1))
    a, b = np.arange(9, dtype=np.float32).reshape(3, 3), np.eye(3, dtype=np.float32) * 2
    assert (session.run(None, {"a": a, "b": b})[0] == a @ b).all()


def test_the_measured_additions_are_as_many_kernels_as_are_counted():
    session = load_graph(profiler_cost.ADDITIONS.read_bytes(), "the chain", session_options(1))
    assert session.get_inputs()[0].shape == list(profiler_cost.SHAPE)
    ones = np.ones(profiler_cost.SHAPE, np.float32)
    (total,) = session.run(None, {"a": ones, "b": ones})
    assert (total == 1 + profiler_cost.KERNELS).all()


def test_the_shipped_graphs_are_those_the_script_writes():
    onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'mgdn-edge[export]'")
    from support.measured_graphs import FILES

    shipped = {measure_ceilings.PRODUCT.resolve(), profiler_cost.ADDITIONS.resolve()}
    assert set(FILES) == shipped
    for path, make in FILES.items():
        assert onnx.load(path) == make() and not make().graph.initializer
        assert path.stat().st_size < 2000
