from mgdn_edge.runtime.fusion.backends.node_placement import describe_placement


def event(op, provider, index, name="n_kernel_time"):
    node = {"op_name": op, "provider": provider, "node_index": str(index)}
    return {"cat": "Node", "name": name, "args": node}


def test_placement_counts_kernels_and_copies():
    gpu, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    events = [event("Conv", gpu, index) for index in (0, 1, 2, 3, 4, 0)]  # a second frame begins
    events.append(event("Conv", gpu, 9, "n_fence_before"))
    assert describe_placement(events) == "5 on the GPU"
    events += [event(op, cpu, index) for index, op in enumerate(("Shape", "Gather", "Shape"), 5)]
    events += [event("MemcpyToHost", gpu, 8), {"cat": "Session", "name": "model_run"}]
    told = "5 on the GPU, 3 on the CPU (2 Shape, 1 Gather), 1 copies between them"
    assert describe_placement(events) == told
    many = [event(f"Op{index}", cpu, index) for index in range(9)]
    assert "1 Op5, …)" in describe_placement(many)
