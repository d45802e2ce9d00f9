"""Camera: a pinhole over the street, and what links one camera's pixels to another's.

World: metres, x to the right, y up, z along the street; the ground is y = 0. Camera axes: x to
the right, y down, z ahead. Whole pixel coordinates are pixel centres.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.picture.frame import Size
from mgdn_edge.runtime.synthetic.rig_options import VISIBLE_FOV, RigOptions

Matrix = npt.NDArray[np.float64]
HEIGHT = 2.9  # metres above the ground: a camera on a pole or a van
TILT = -2.0  # degrees: a little downwards


@dataclass(frozen=True)
class Camera:
    """(height, width) in pixels, horizontal field of view and angles in degrees, x in metres."""

    size: Size
    fov: float = VISIBLE_FOV
    x: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    @cached_property
    def focal(self) -> float:
        """Focal length in pixels."""
        return float(self.size[1] / 2 / np.tan(np.radians(self.fov) / 2))

    @cached_property
    def intrinsics(self) -> Matrix:
        """(3, 3): camera coordinates -> homogeneous pixels."""
        height, width = self.size
        return np.array(
            [[self.focal, 0, (width - 1) / 2], [0, self.focal, (height - 1) / 2], [0, 0, 1]]
        )

    @cached_property
    def position(self) -> Matrix:
        """(3,) metres in the world."""
        return np.array([self.x, HEIGHT, 0.0])

    @cached_property
    def rotation(self) -> Matrix:
        """(3, 3): world directions -> camera directions."""
        yaw, pitch, roll = np.radians([self.yaw, self.pitch + TILT, self.roll])
        turn = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
        tilt = np.array(
            [[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]]
        )
        spin = np.array(
            [[np.cos(roll), np.sin(roll), 0], [-np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
        )
        rotation: Matrix = spin @ tilt @ turn @ np.diag([1.0, -1.0, 1.0])
        return rotation

    def project(self, points: Matrix) -> Matrix:
        """(N, 3) world metres -> (N, 3): column, row in pixels and depth in metres.

        Points nearer than 0.2 m, or behind, are held at 0.2 m.
        """
        seen = (points - self.position) @ self.rotation.T
        depth = np.maximum(seen[:, 2], 0.2)
        centre = self.intrinsics[:2, 2]
        return np.column_stack([seen[:, :2] / depth[:, None] * self.focal + centre, depth])

    def rays(self, samples: int) -> npt.NDArray[np.float32]:
        """(H * samples, W * samples, 3) float32 world directions of depth one."""
        height, width = self.size
        columns = (np.arange(width * samples) + 0.5) / samples - 0.5
        rows = (np.arange(height * samples) + 0.5) / samples - 0.5
        pixels = np.stack([*np.meshgrid(columns, rows), np.ones((len(rows), len(columns)))], -1)
        back = np.linalg.inv(self.intrinsics).T @ self.rotation
        directions: npt.NDArray[np.float32] = (pixels @ back).astype(np.float32)
        return directions

    def homography_to(self, other: Camera, distance: float = np.inf) -> Matrix:
        """(3, 3): this camera's pixels -> ``other``'s, for things ``distance`` metres ahead.

        Exact for the plane at that depth of ``other``; for every depth where both cameras
        stand in one place. H = K (R + t n' / d) K^-1 (Hartley and Zisserman, section 13.1).
        """
        turn = self.rotation @ other.rotation.T
        shift = self.rotation @ (other.position - self.position)
        plane = np.outer(shift, [0, 0, 1]) / distance
        back = self.intrinsics @ (turn + plane) @ np.linalg.inv(other.intrinsics)
        homography = np.linalg.inv(back)
        scaled: Matrix = homography / homography[2, 2]
        return scaled


def visible_camera(options: RigOptions) -> Camera:
    """The visible camera: the rig's reference."""
    return Camera(options.size)


def infrared_camera(options: RigOptions) -> Camera:
    """The infrared camera, beside the visible one and turned as the options say."""
    return Camera(
        options.infrared_size,
        options.ir_fov,
        options.parallax,
        options.yaw,
        options.pitch,
        options.roll,
    )
