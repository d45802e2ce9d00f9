"""Ranges outlive the export they were measured on: tensors are named by module."""

import pytest

from mgdn_edge.calibration.clip_points import ClipMethod
from mgdn_edge.calibration.lowered_models import lower_model, read_model
from mgdn_edge.calibration.node_precisions import decide_nodes
from mgdn_edge.calibration.qdq import clip_tensors
from mgdn_edge.calibration.range_observer import RangeObserver

pytestmark = [pytest.mark.export, pytest.mark.slow]


def test_a_new_export_is_quantised_with_old_ranges(edge_ranges, edge_models, tmp_path):
    from mgdn_edge.export.export_network import export_network

    export_network("edge", tmp_path / "edge", sizes=[(64, 80)])
    models = {
        path.name: path.read_bytes() for path in (tmp_path / "edge" / "models").glob("*.onnx")
    }
    old = edge_models["models/dynamic.onnx"]
    decisions = decide_nodes(read_model(models["dynamic.onnx"]))
    assert decisions == decide_nodes(read_model(old))
    seen = {
        name for each in RangeObserver(models["dynamic.onnx"]).segments for name in each.counted
    }
    assert seen == edge_ranges.tensors.keys()
    clips = clip_tensors(edge_ranges, ClipMethod(), "cpu")
    for name, model in models.items():
        assert b"QuantizeLinear" in lower_model(model, decisions, clips, "cpu"), name
