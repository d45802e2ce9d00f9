import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest

from mgdn_edge.calibration.calibration_state import CalibrationState
from mgdn_edge.calibration.lowered_models import read_model
from mgdn_edge.calibration.pair_selection import digest_pair
from mgdn_edge.calibration.range_observer import RangeObserver, typed_values
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.recordings import FramePair

MODEL = "models/dynamic.onnx"
BOUND = 1 << 30  # bytes of memory for 500 pairs of 640x480, the promise


def drawn(seed, size=(37, 50)):
    planes = np.random.default_rng(seed).integers(0, 256, (2, *size), np.uint8)
    return FramePair(f"drawn {seed}", *planes)


def test_every_tensor_is_seen_as_the_whole_graph_computes_it(edge_models):
    model = onnx.load_model_from_string(edge_models[MODEL])
    floats = [
        name
        for name, value in typed_values(model).items()
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    ]
    model.graph.output.extend(
        value for name, value in typed_values(model).items() if name in floats
    )
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    pair = drawn(1)
    feed = {"visible": pair.visible[None, None], "infrared": pair.infrared[None, None]}
    wanted = dict(zip(floats, session.run(floats, feed), strict=True))
    observer = RangeObserver(edge_models[MODEL])
    assert len(observer.segments) > 2
    observer.add(pair)
    assert observer.histograms.keys() == wanted.keys()
    for name, values in wanted.items():
        found = observer.histograms[name]
        assert found.count == values.size
        assert np.allclose((found.low, found.high), (values.min(), values.max()), atol=1e-5), name


def test_a_tensor_that_is_no_number_is_named(edge_models):
    model = onnx.load_model_from_string(edge_models[MODEL])
    for weight in model.graph.initializer:
        if weight.name == "core.blocks.1.bias":
            values = onnx.numpy_helper.to_array(weight).copy()
            values[3] = np.nan
            weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    observer = RangeObserver(model.SerializeToString())
    with pytest.raises(UserError, match=r"core.blocks.1/Conv on pair drawn 1: .*NaN"):
        observer.add(drawn(1))


@pytest.mark.parametrize("read", [RangeObserver, read_model])
def test_a_graph_with_weights_elsewhere_is_refused(edge_models, read):
    model = onnx.load_model_from_string(edge_models[MODEL])
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="/etc/hostname")
    with pytest.raises(UserError, match="the frame graph keeps weights outside"):
        read(model.SerializeToString())


@pytest.mark.parametrize("length", range(1, 9))
def test_a_graph_may_end_anywhere_in_a_segment(monkeypatch, edge_models, length):
    monkeypatch.setattr("mgdn_edge.calibration.range_observer.TENSORS_A_SEGMENT", length)
    observer = RangeObserver(edge_models[MODEL])
    observer.add(drawn(1))
    assert len(observer.histograms) == 34
    assert sum(len(segment.counted) for segment in observer.segments) == 34


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (101, 131)])
def test_any_size_is_observed(edge_models, size):
    observer = RangeObserver(edge_models[MODEL])
    observer.add(drawn(1, size))
    assert observer.histograms["core.filter/DynamicFilter"].count >= 2 * size[0] * size[1]


def observe(state, pairs):
    state.observe(pairs)
    return state.finish()


def test_an_interrupted_observation_goes_on_to_the_same_ranges(edge_models, tmp_path):
    pairs = [drawn(seed) for seed in range(4)]
    digests = [digest_pair(pair) for pair in pairs]
    whole = observe(CalibrationState(tmp_path / "whole.mgdn", edge_models[MODEL], digests), pairs)

    def interrupted():
        yield from pairs[:2]
        raise KeyboardInterrupt

    output = tmp_path / "out.mgdn"
    with pytest.raises(KeyboardInterrupt):
        observe(CalibrationState(output, edge_models[MODEL], digests), interrupted())
    state = CalibrationState(output, edge_models[MODEL], digests)
    assert state.done == 2
    assert observe(state, pairs[2:]) == whole
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", ["other pairs", "cut short"])
def test_another_observation_begins_anew_and_leaves_the_file(edge_models, tmp_path, change):
    pairs = [drawn(seed) for seed in range(3)]
    digests = [digest_pair(pair) for pair in pairs]
    state = CalibrationState(tmp_path / "out.mgdn", edge_models[MODEL], digests)

    def interrupted():
        yield pairs[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        observe(state, interrupted())
    if change == "cut short":
        state.path.write_bytes(state.path.read_bytes()[:500])
    else:
        digests = digests[:2]
    kept = state.path.read_bytes()
    other = CalibrationState(tmp_path / "out.mgdn", edge_models[MODEL], digests)
    assert other.done == 0
    with pytest.raises(KeyboardInterrupt):
        observe(other, interrupted())
    observe(other, pairs[1:2])
    assert state.path.read_bytes() == kept and list(tmp_path.iterdir()) == [state.path]


def test_a_full_disk_costs_no_observation(edge_models, tmp_path, monkeypatch, fill_disk):
    monkeypatch.setattr("mgdn_edge.calibration.calibration_state.SAVE_SECONDS", -1)
    fill_disk(".calibration")
    pairs = [drawn(seed) for seed in range(2)]
    digests = [digest_pair(pair) for pair in pairs]
    state = CalibrationState(tmp_path / "out.mgdn", edge_models[MODEL], digests)

    def interrupted():
        yield pairs[0]
        raise KeyboardInterrupt

    with pytest.raises(UserError, match=r"interrupted, and cannot keep .*No space left"):
        observe(state, interrupted())
    assert observe(state, pairs[1:]) and list(tmp_path.iterdir()) == []


MEASURE = """
import sys
import numpy as np
from mgdn_edge.calibration.range_observer import RangeObserver
from mgdn_edge.runtime.pairing.recordings import FramePair
def peak():  # not ru_maxrss, which begins with what the parent held
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
observer = RangeObserver(open(sys.argv[1], "rb").read())
planes = np.random.default_rng(0).integers(0, 256, (2, 480, 640), np.uint8)
for number in range(int(sys.argv[2])):
    observer.add(FramePair("drawn", *planes))
    planes += np.uint8(1)
    if number == 9:
        print(peak())
print(peak())
"""


@pytest.mark.slow
def test_500_pairs_of_640x480_stay_below_a_gigabyte(edge_models, tmp_path):
    model = tmp_path / "model.onnx"
    model.write_bytes(edge_models[MODEL])
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, str(model), "500"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    after_ten, after_all = map(int, result.stdout.split())
    assert after_all < BOUND
    assert after_all < 1.05 * after_ten
