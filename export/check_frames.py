"""Frame pairs for parity checks: read through the runtime's sources, or drawn."""

from collections.abc import Iterator, Sequence
from itertools import islice

from mgdn_edge.runtime.bundle.export_record import ExportRecord
from mgdn_edge.runtime.pairing.recordings import (
    FramePair,
    Recording,
    read_frame_pairs,
)
from mgdn_edge.runtime.picture.drawn_scene import draw_scene

ODD_SIZE = (101, 131)  # a multiple of nothing, so padding and cropping are part of the check


def read_frames(recordings: Sequence[Recording], count: int) -> Iterator[FramePair]:
    """The first ``count`` pairs of recordings (fewer where there are fewer)."""
    return islice(read_frame_pairs(recordings, shortest=True), count)


def draw_frames(record: ExportRecord) -> Iterator[FramePair]:
    """The drawn scene at an odd size and at the size of every static variant."""
    fixed = [(m.height, m.width) for m in record.models if m.height and m.width]
    for height, width in (ODD_SIZE, *fixed):
        scene = draw_scene(height, width)
        yield FramePair(f"drawn {width}x{height}", scene.visible, scene.infrared)
