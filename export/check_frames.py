"""Frame pairs for parity checks: read through the runtime's sources, or drawn."""

from collections.abc import Iterator
from contextlib import closing

import numpy as np

from mgdn_edge.export.check_export import CheckedPair
from mgdn_edge.runtime.bundle.export_record import ExportRecord
from mgdn_edge.runtime.capture.sources import open_infrared, open_visible
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.by_order import OrderedPairs
from mgdn_edge.runtime.picture.drawn_scene import draw_scene

ODD_SIZE = (101, 131)  # a multiple of nothing, so padding and cropping are part of the check


def read_frames(visible: str, infrared: str, count: int) -> Iterator[CheckedPair]:
    """The first ``count`` pairs of two recordings (fewer where there are fewer)."""
    with open_visible(visible) as visible_source, open_infrared(infrared) as infrared_source:
        pairs = OrderedPairs(visible_source, infrared_source, shortest=True)
        with closing(pairs.read()) as running:
            for number, pair in zip(range(count), running, strict=False):
                plane = pair.infrared.plane
                if plane.dtype != np.uint8:
                    raise UserError("the check takes 8-bit infrared; give an 8-bit recording")
                name = pair.visible.stem or str(number)
                yield (
                    name,
                    np.ascontiguousarray(pair.visible.y),
                    np.ascontiguousarray(plane.astype(np.uint8, copy=False)),
                )


def draw_frames(record: ExportRecord) -> Iterator[CheckedPair]:
    """The drawn scene at an odd size and at the size of every static variant."""
    fixed = [(m.height, m.width) for m in record.models if m.height and m.width]
    for height, width in (ODD_SIZE, *fixed):
        scene = draw_scene(height, width)
        yield f"drawn {width}x{height}", scene.visible, scene.infrared
