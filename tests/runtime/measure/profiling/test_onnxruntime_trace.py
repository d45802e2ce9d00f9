import json

import pytest

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.measure.profiling.onnxruntime_trace import original_name, read_trace
from mgdn_edge.runtime.measure.profiling.profiler_cost import ProfilerCost, measure_profiler_cost

SHAPE = {"float": [1, 2, 3, 4]}


def kernel(name, us, operator="Conv", inputs=(SHAPE,), outputs=(SHAPE,)):
    args = {"op_name": operator, "input_type_shape": inputs, "output_type_shape": outputs}
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": us, "ts": 1, "args": args}


def frame(*kernels, execute=None, run=None):
    spent = sum(each["dur"] for each in kernels)
    return [
        *kernels,
        {"cat": "Session", "name": "SequentialExecutor::Execute", "dur": execute or spent},
        {"cat": "Session", "name": "model_run", "dur": run or execute or spent},
    ]


def trace(*frames):
    start = [{"cat": "Session", "name": "model_loading_array", "dur": 9, "args": {}}]
    return json.dumps(sum(frames, start)).encode()


def test_means_of_the_kept_frames_add_up():
    text = trace(
        frame(kernel("warm", 900)),
        frame(kernel("a", 10), kernel("b", 20), execute=36, run=40),
        frame(kernel("a", 14), kernel("b", 40), execute=60, run=70),
    )
    found = read_trace(text, [1, 2])
    assert [each.ns for each in found.kernels] == [12_000, 30_000]
    assert (found.kernels_ns, found.between_ns, found.session_ns) == (42_000, 6_000, 7_000)
    assert found.total_ns == 55_000 and found.frames == 2 and found.profiler_ns == 0


def test_the_profilers_cost_is_taken_off_and_kept():
    text = trace(frame(kernel("a", 10), kernel("b", 1), execute=30, run=32))
    found = read_trace(text, [0], ProfilerCost(inside_ns=2000.0, outside_ns=3000.0))
    assert [each.ns for each in found.kernels] == [8_000, 0]
    assert found.between_ns == 13_000
    assert found.total_ns + found.profiler_ns == 32_000


def test_costs_never_turn_times_negative():
    text = trace(frame(kernel("a", 10), execute=11))
    found = read_trace(text, [0], ProfilerCost(inside_ns=0.0, outside_ns=9000.0))
    assert found.between_ns == 0 and found.profiler_ns == 1_000


def test_bytes_are_those_of_every_input_and_output():
    inputs = ({"float": [1, 2]}, {"uint8": [3]}, {"int64": []}, {"float16": [5]})
    text = trace(frame(kernel("a", 1, inputs=inputs), kernel("view", 1, "Reshape")))
    first, view = read_trace(text, [0]).kernels
    assert first.bytes == 8 + 3 + 8 + 10 + 96
    assert view.bytes == 0


def test_a_trace_without_shapes_gives_no_bytes():
    event = kernel("a", 1)
    event["args"] = {"op_name": "Conv"}
    assert read_trace(trace(frame(event)), [0]).kernels[0].bytes is None


@pytest.mark.parametrize(
    ("name", "original"),
    [
        ("core.stem/Conv", "core.stem/Conv"),
        ("core.activation/Relu_nchwc", "core.activation/Relu"),
        ("core.blocks.0/Conv_1_nchwc", "core.blocks.0/Conv_1"),
        ("a/MatMul/MatMulAddFusion", "a/MatMul"),
        ("a/MatMul_1/MatmulTransposeFusion/", "a/MatMul_1"),
        ("fused a.fc.0/Gemm", "a.fc.0/Gemm"),
        ("ReorderInput_token_226", "ReorderInput"),
        ("fused a/Conv_token_3_nchwc", "a/Conv"),
        ("Mul_74", "Mul_74"),
    ],
)
def test_names_before_the_optimisers(name, original):
    assert original_name(name) == original


@pytest.mark.parametrize("text", [b"", b"[{", b"{}", b'[{"cat": "Node"}]', b"[1]"])
def test_what_is_no_trace_is_one_sentence(text):
    with pytest.raises(UserError, match="is not what was expected"):
        read_trace(text, [0])


def test_missing_runs_and_differing_kernels_are_refused():
    with pytest.raises(UserError, match="profile fewer: --frames"):
        read_trace(trace(frame(kernel("a", 1))), [1])
    with pytest.raises(UserError, match="other kernels in some frames"):
        read_trace(trace(frame(kernel("a", 1)), frame(kernel("b", 1))), [0, 1])


def test_the_profilers_cost_is_measured_on_this_runtime():
    cost = measure_profiler_cost(1)
    assert cost.inside_ns >= 0 and cost.outside_ns >= 0
    assert cost.inside_ns + cost.outside_ns < 1e6  # a thousand times what it is would be no cost
