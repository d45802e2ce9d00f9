"""FuseRequest: what one stream is asked to do."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mgdn_edge.runtime.capture.frames.eight_bit import InfraredOptions
from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
from mgdn_edge.runtime.pairing.timed_options import TimedOptions
from mgdn_edge.runtime.stream.frame_times import Pace
from mgdn_edge.runtime.thermal.count_scale import CountScale

DEFAULT_NETWORK = "mgdn-edge"


class FuseRequest(msgspec.Struct, frozen=True):
    """VISIBLE and INFRARED (paths or URIs) into OUTPUT (a path, or an ``rtsp://`` URI).

    ``network`` is a name or the path of a bundle, ``choice`` how it is run. ``frames`` ends after
    so many pairs, ``shortest`` at the end of the shorter recording. ``resize`` resizes infrared to
    visible; or ``rig``, a rig file, brings both to its working size, for things ``distance_m``
    metres away, and ``realign`` follows slow drift. ``timing`` pairs by time stamp instead of by
    order; live sources always are. ``pace`` "none" loses nothing and goes as fast as it can;
    "source" keeps the clip's own time, as live sources always do. ``infrared_options`` say how
    counts become levels; ``record_infrared`` keeps them beside OUTPUT, and ``infrared_scale`` says
    what they mean. ``keep_pictures``: the result holds a few frames to look at. ``reads`` names
    more files that belong to the inputs, such as the clock file.
    """

    visible: str
    infrared: str
    output: str
    network: str | Path = DEFAULT_NETWORK
    choice: SessionChoice = SessionChoice()
    frames: int | None = None
    shortest: bool = False
    resize: bool = False
    rig: Path | None = None
    distance_m: float | None = None
    realign: bool = False
    timing: TimedOptions | None = None
    pace: Pace = "none"
    infrared_options: InfraredOptions = InfraredOptions()
    record_infrared: Path | None = None
    infrared_scale: CountScale | None = None
    keep_pictures: bool = False
    reads: tuple[Path, ...] = ()
