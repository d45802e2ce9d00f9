"""Clip points of what a Relu discards anyway.

Where two tensors are added and only a Relu reads the sum, a side below minus the other's maximum
gives zero however far below it is. Its grid needs not reach there, and its steps get smaller for
nothing: by 2.1 in the last block of mgdn-edge.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from mgdn_edge.calibration.clip_points import ClipPoints
from mgdn_edge.calibration.node_precisions import follow_relu, is_residual


def cut_discarded(model: ir.Model, clips: Mapping[str, ClipPoints]) -> dict[str, ClipPoints]:
    """Clip points by tensor -> the same with lows raised to where the sum's Relu begins.

    A tensor that anything but the addition reads keeps its own.
    """
    cut = dict(clips)
    for node in model.graph:
        if not is_residual(node) or follow_relu(node) is node.outputs[0]:
            continue
        for side, other in (node.inputs, node.inputs[::-1]):
            if side is None or other is None or len(list(side.uses())) != 1:
                continue
            mine, theirs = cut.get(side.name or ""), clips.get(other.name or "")
            if mine is not None and theirs is not None:
                low = max(mine.low, -theirs.high)
                cut[side.name or ""] = ClipPoints(min(0.0, low), mine.high)
    return cut
