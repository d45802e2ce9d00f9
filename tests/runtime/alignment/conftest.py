"""Drawn scenes seen by two cameras whose geometry is known."""

import numpy as np
import pytest

from mgdn_edge.runtime.synthetic import open_rig

TURNED = "size=320x240&ir_size=160x120&ir_fov=48&yaw=2&roll=-2&frames=60"


@pytest.fixture(scope="session")
def turned_frames():
    """Two frames of a day street, infrared turned and zoomed, and the true homography."""
    rig = open_rig(f"synthetic://day?seed=4&{TURNED}")
    frames = [(rig.visible(n).y, np.asarray(rig.infrared(n).plane, np.uint8)) for n in (0, 40)]
    return frames, rig.infrared_camera.homography_to(rig.visible_camera)


@pytest.fixture(scope="session")
def unrelated_frames():
    """The visible camera in one street, infrared in another."""
    here, there = (
        open_rig(f"synthetic://{name}&{TURNED}") for name in ("day?seed=4", "dusk?seed=9")
    )
    return [(here.visible(0).y, np.asarray(there.infrared(30).plane, np.uint8)[:, ::-1].copy())]
