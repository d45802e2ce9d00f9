"""FrameStamps: when one frame passed each point of its way, from capture to output."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class FrameStamps:
    """When one frame passed each point; 0 where it has not.

    ``capture_ns`` is the moment the frame came into being: its due time under ``--pace
    source``, else the moment the reader turned to it. Everything later is measured.
    """

    seq: int = 0
    pts_ns: int = 0
    capture_ns: int = 0
    read_ns: int = 0  # the reader turned to this frame
    decoded_ns: int = 0  # the visible frame is decoded
    paired_ns: int = 0  # its infrared partner is decoded too
    taken_ns: int = 0  # fusion has a free slot and took the pair
    aligned_ns: int = 0  # both lie on the working grid, infrared in the slot
    copied_in_ns: int = 0
    infer_begin_ns: int = 0
    infer_end_ns: int = 0
    collected_ns: int = 0  # the writer has the result
    copied_out_ns: int = 0  # fused luma has left the slot, which is free again
    composed_ns: int = 0  # chroma is beside it
    encoded_ns: int = 0
    out_ns: int = 0  # handed to the file
    pair_skew_ns: int = 0  # no stamp: infrared's time less visible's, on the visible clock
