"""The benchmark's own code, without a GPU: eager PyTorch on the CPU, our session on stand-ins."""

import sys

import pytest
from support.onnxruntime_stand_in import make_onnxruntime

from mgdn_edge.runtime.bundle.network_names import packaged_bundles
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.fusion.cuda import calls
from mgdn_edge.runtime.measure import timing_loop
from mgdn_edge.runtime.stream.latency import percentiles

pytestmark = pytest.mark.export


def test_both_formulations_have_a_row(make_stand_in, monkeypatch, capsys, tmp_path):
    import fusion_cuda

    from mgdn_edge.export.network_catalogue import load_network

    with open_bundle(packaged_bundles()["mgdn-edge"]) as bundle:
        (tmp_path / "model.onnx").write_bytes(bundle.read(bundle.variant("640x480").file))
    loaded = load_network("edge", None, release_padding=False)

    cuda = make_stand_in(same_address=True)
    monkeypatch.setattr(calls, "load_bindings", lambda: cuda)
    monkeypatch.setattr(fusion_cuda, "WARMUP", 1)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnxruntime", make_onnxruntime(cuda))
        # The simulated clock stands still for PyTorch.
        patch.setattr(timing_loop, "percentiles", percentiles_of_longer_frames)
        rows = fusion_cuda.compare(
            loaded, {"fp32": tmp_path / "model.onnx"}, (480, 640), 2, "cpu", ["fp32"]
        )
    told = [(row.precision, row.formulation.split(",")[0]) for row in rows]
    assert told == [("fp32", "eager PyTorch"), ("fp32", "mgdn")]
    assert fusion_cuda.prepare_eager(loaded, (16, 24), "fp16", "cpu").run() >= 0
    assert rows[1].network_ms == pytest.approx(1.0, rel=0.1)  # what the stand-in simulates
    fusion_cuda.print_rows(rows)
    printed = capsys.readouterr().out
    assert "| mgdn-edge | 640x480 | fp32 | mgdn, ONNX Runtime CUDA |" in printed
    assert "mgdn-edge, 640x480, fp32, nodes: 0 on the GPU" in printed
    cuda.assert_all_freed()


def percentiles_of_longer_frames(durations, warmup):
    return percentiles(durations + 1_000_000, warmup)
