"""Where ONNX Runtime really ran each node, read from its own profile of one frame.

ONNX Runtime gives nodes without a CUDA kernel to the CPU and says so only in its log. Its profile
is the one record that every version from 1.23 on writes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnxruntime

MOST_NAMED = 6  # operators on the CPU; more would be too long to read
COPIES = ("MemcpyToHost", "MemcpyFromHost")
KERNEL = "_kernel_time"  # the event of a node's work, beside those of its preparation
CUDA_PROVIDER = "CUDAExecutionProvider"


def record_profile(options: onnxruntime.SessionOptions, folder: Path) -> None:
    """A session of these options writes a profile into ``folder`` until ``read_placement``."""
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "frame")


def read_placement(session: onnxruntime.InferenceSession, run_frame: Callable[[], object]) -> str:
    """Run one frame, end the profile -> how many nodes ran where, in words."""
    run_frame()
    return describe_placement(json.loads(Path(session.end_profiling()).read_text()))


def describe_placement(events: Iterable[Mapping[str, Any]]) -> str:
    """A profile's events, of one frame or more -> how many nodes ran where.

    "98 on the GPU, 4 on the CPU (3 Shape, 1 Gather), 2 copies between them".
    """
    nodes = {
        (event["name"], event["args"].get("node_index")): event["args"]
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith(KERNEL)
    }.values()
    copies = sum(node["op_name"] in COPIES for node in nodes)
    work = [node for node in nodes if node["op_name"] not in COPIES]
    elsewhere = Counter(node["op_name"] for node in work if node["provider"] != CUDA_PROVIDER)
    text = f"{len(work) - elsewhere.total()} on the GPU"
    if elsewhere:
        named = [f"{count} {name}" for name, count in elsewhere.most_common(MOST_NAMED)]
        more = ["…"] * (len(elsewhere) > MOST_NAMED)
        text += f", {elsewhere.total()} on the CPU ({', '.join(named + more)})"
    return f"{text}, {copies} copies between them" if copies else text
