"""Fixed frames fused while training: loss, fusion metrics and a picture to look at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from mgdn_edge.export.losses import LossWeights, fusion_loss
from mgdn_edge.export.training_data import TrainingData
from mgdn_edge.export.training_record import FrameKind, ValidationLine
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.recordings import FramePair
from mgdn_edge.runtime.picture.frame import Plane
from mgdn_edge.runtime.quality.fusion_metrics import mean_metrics, measure_fusion

FRAMES = 16
PICTURE_ROWS = 4
# The published size of MGDN takes 8 GB for 640x480 in torch, and 1.7 for this.
LARGEST_SIDE = 256
SIDE_MULTIPLE = 16  # of every network here
SMALLEST_SIDE = 48  # the multiple the fusion metrics can measure

Fuse = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class FixedFrames:
    """(H, W) uint8 visible and infrared centre crops; always the same for the same data."""

    kind: FrameKind
    pairs: list[tuple[Plane, Plane]]


def choose_frames(data: TrainingData) -> FixedFrames:
    """Data -> up to ``FRAMES`` frames spread over the validation pairs, else the training pairs.

    Raises UserError where none is large enough.
    """
    kind: FrameKind = "validation" if data.validation.pairs else "training"
    source = data.validation.pairs or data.training.pairs
    usable = [pair for pair in source if min(pair.visible.shape) >= SMALLEST_SIDE]
    if not usable:
        raise UserError(
            f"no {kind} pair is at least {SMALLEST_SIDE} pixels high and wide; give larger images"
        )
    places = np.linspace(0, len(usable) - 1, min(FRAMES, len(usable))).round().astype(int)
    return FixedFrames(kind, [_centre(usable[place]) for place in places])


def _centre(pair: FramePair) -> tuple[Plane, Plane]:
    height, width = (
        min(side, LARGEST_SIDE) // SIDE_MULTIPLE * SIDE_MULTIPLE for side in pair.visible.shape
    )
    top, left = (pair.visible.shape[0] - height) // 2, (pair.visible.shape[1] - width) // 2
    window = np.s_[top : top + height, left : left + width]
    return pair.visible[window], pair.infrared[window]


def with_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> Fuse:
    """The network computing with other weights than its own, which stay as they are."""

    def fuse(visible: Tensor, infrared: Tensor) -> Tensor:
        fused: Tensor = torch.func.functional_call(network, dict(weights), (visible, infrared))
        return fused

    return fuse


def plain_average(visible: Tensor, infrared: Tensor) -> Tensor:
    """The mean of both inputs: what every trained network must be better than."""
    return (visible + infrared) / 2


@torch.no_grad()
def measure_frames(
    fuse: Fuse, frames: FixedFrames, step: int, weights: LossWeights, device: torch.device
) -> tuple[ValidationLine, list[Plane]]:
    """Fuse every fixed frame -> the means over them, and the fused planes, (H, W) uint8 each."""
    terms, metrics, planes = [], [], []
    for visible, infrared in frames.pairs:
        visible_input, infrared_input = (
            torch.from_numpy(plane.astype(np.float32) / np.float32(255))[None, None].to(device)
            for plane in (visible, infrared)
        )
        fused = fuse(visible_input, infrared_input)
        loss = fusion_loss(fused, visible_input, infrared_input, weights)
        terms.append(
            [float(t) for t in (loss.total, loss.intensity, loss.gradient, loss.structure)]
        )
        levels = torch.round(fused.clamp(0, 1) * 255).to(torch.uint8)
        plane: Plane = levels[0, 0].cpu().numpy()
        metrics.append(measure_fusion(plane, visible, infrared))
        planes.append(plane)
    mean = mean_metrics(metrics)
    values = [*np.mean(terms, axis=0), mean.en, mean.sf, mean.ag, mean.scd, mean.vif, mean.qabf]
    return ValidationLine(step, frames.kind, *(round(float(value), 5) for value in values)), planes


def encode_validation_picture(frames: FixedFrames, fused: list[Plane]) -> bytes:
    """Rows of visible | infrared | fused for a few of the frames -> a grey PNG file."""
    count = min(PICTURE_ROWS, len(fused))
    rows = [
        np.hstack([*frames.pairs[place], fused[place]])
        for place in np.linspace(0, len(fused) - 1, count).round().astype(int)
    ]
    widest = max(row.shape[1] for row in rows)
    picture = np.vstack([np.pad(row, ((0, 0), (0, widest - row.shape[1]))) for row in rows])
    return cv2.imencode(".png", picture)[1].tobytes()
