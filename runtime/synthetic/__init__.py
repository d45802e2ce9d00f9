"""The synthetic two-camera rig: ``open_rig("synthetic://night?seed=1")``."""

from mgdn_edge.runtime.synthetic.rig import CleanPlanes, Rig, RigFrame, open_rig
from mgdn_edge.runtime.synthetic.truth import Truth

__all__ = ["CleanPlanes", "Rig", "RigFrame", "Truth", "open_rig"]
