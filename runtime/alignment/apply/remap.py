"""Alignment: both cameras onto the working grid, by maps made once.

The visible picture is cut and scaled (or only cut, which copies nothing); infrared goes through
one fixed-point remap. Where it does not reach, the visible luma stands in, so that fusion
leaves the picture as the visible camera saw it.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.alignment.apply.rig_file import CameraModel, CameraRig, Matrix
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.frame import InfraredPlane, Plane, Size, VisibleFrame

Maps = tuple[cv2.typing.MatLike, cv2.typing.MatLike]  # OpenCV's fixed-point form


class Alignment:
    """What a rig does to every pair. Immutable, so another thread may build the next one.

    ``size`` is the working (height, width), ``distance_m`` what the homography is chosen for,
    ``homography`` overrides the rig's (infrared -> visible pixels).
    """

    def __init__(
        self,
        rig: CameraRig,
        distance_m: float | None = None,
        homography: Matrix | None = None,
    ) -> None:
        self.rig = rig
        self.homography = rig.homography(distance_m) if homography is None else homography
        self.size = rig.working_size
        left, top, width, height = rig.view
        self._rows, self._columns = slice(top, top + height), slice(left, left + width)
        self._to_working = working_from_visible(rig)
        self._visible_maps: dict[tuple[int, int], Maps] = {}
        # A plain remap reads 4 pixels a sample: a larger picture is averaged down first.
        self._shrink = shrink_factor(rig, self.homography)
        height, width = (-(-side // self._shrink) for side in rig.infrared.size)
        self._shrunk: Size = (height, width)
        infrared_maps = lens_maps(
            rig.infrared, self._to_working @ self.homography, self.size, 1 / self._shrink
        )
        self._infrared_maps = cv2.convertMaps(*infrared_maps, cv2.CV_16SC2)
        outside = _outside(*infrared_maps, self._shrunk)
        self._outside = outside if outside.any() else None

    @property
    def covers_all(self) -> bool:
        """Whether infrared reaches every pixel of the working picture."""
        return self._outside is None

    def check_sizes(self, visible: Size, infrared: Size) -> None:
        """Raise UserError unless the (height, width) are those the rig was measured with."""
        for name, got, camera in (
            ("visible", visible, self.rig.visible),
            ("infrared", infrared, self.rig.infrared),
        ):
            if got != camera.size:
                height, width = camera.size
                raise UserError(
                    f"{name} is {got[1]}x{got[0]}, the rig was measured with "
                    f"{width}x{height}; give the recordings it belongs to, or measure "
                    "this pair: mgdn align VISIBLE INFRARED RIG.toml"
                )

    def align_visible(self, frame: VisibleFrame) -> VisibleFrame:
        """The frame cut and scaled to the working size, chroma with luma, stamps kept.

        Views of the frame's own planes where nothing is scaled.
        """
        y = self._aligned_plane(frame.y, (1, 1))
        chroma = frame.chroma
        if chroma is not None:
            u, v = (self._aligned_plane(plane, frame.subsampling) for plane in chroma)
            chroma = (u, v)
        return replace(frame, y=y, chroma=chroma)

    def align_infrared(self, plane: InfraredPlane, visible: Plane, target: Plane) -> None:
        """(h, w) infrared, (H, W) working luma -> ``target`` (H, W) uint8, in place."""
        source = np.asarray(plane, np.uint8)
        if self._shrink > 1:
            source = np.asarray(
                cv2.resize(source, self._shrunk[::-1], interpolation=cv2.INTER_AREA), np.uint8
            )
        mapped = cv2.remap(
            source,
            *self._infrared_maps,
            cv2.INTER_LINEAR,
            dst=target,
            borderMode=cv2.BORDER_REPLICATE,
        )
        if mapped is not target:  # OpenCV allocates where the target's memory does not suit it
            np.copyto(target, mapped)
        if self._outside is not None:
            np.copyto(target, visible, where=self._outside)

    def _aligned_plane(self, plane: Plane, subsampling: tuple[int, int]) -> Plane:
        across, down = subsampling
        size = (-(-self.size[0] // down), -(-self.size[1] // across))
        if self.rig.visible.distortion is not None:
            return self._undistorted(plane, subsampling, size)
        rows = slice(self._rows.start // down, -(-self._rows.stop // down))
        columns = slice(self._columns.start // across, -(-self._columns.stop // across))
        cut = plane[rows, columns]
        if cut.shape == size:
            return cut
        shrinks = size[0] * size[1] < cut.size
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(cut, size[::-1], interpolation=method), np.uint8)

    def _undistorted(self, plane: Plane, subsampling: tuple[int, int], size: Size) -> Plane:
        if subsampling not in self._visible_maps:
            across, down = subsampling
            # Chroma sample i lies amid luma samples across * i and on: (i + 0.5) * across - 0.5.
            coarse = np.array(
                [
                    [1 / across, 0, (1 / across - 1) / 2],
                    [0, 1 / down, (1 / down - 1) / 2],
                    [0, 0, 1],
                ]
            )
            columns, rows = lens_maps(self.rig.visible, coarse @ self._to_working, size)
            maps = ((columns + 0.5) / across - 0.5, (rows + 0.5) / down - 0.5)
            self._visible_maps[subsampling] = cv2.convertMaps(*maps, cv2.CV_16SC2)
        maps_used = self._visible_maps[subsampling]
        border = cv2.BORDER_REPLICATE
        return np.asarray(
            cv2.remap(plane, *maps_used, cv2.INTER_LINEAR, borderMode=border), np.uint8
        )


def working_from_visible(rig: CameraRig) -> Matrix:
    """(3, 3): visible pixels -> working pixels. Pixel edges map to pixel edges."""
    left, top, width, height = rig.view
    across, down = rig.working_size[1] / width, rig.working_size[0] / height
    return np.array(
        [
            [across, 0, (0.5 - left) * across - 0.5],
            [0, down, (0.5 - top) * down - 0.5],
            [0, 0, 1],
        ]
    )


def shrink_factor(rig: CameraRig, homography: Matrix) -> int:
    """Infrared pixels a working pixel spans at the picture's middle, whole, at least 1."""
    height, width = rig.infrared.size
    middle = np.array([width / 2, height / 2, 1])
    matrix = working_from_visible(rig) @ homography
    x, y, w = matrix @ middle
    slope = (matrix[:2, :2] * w - np.outer([x, y], matrix[2, :2])) / w**2
    spans = 1 / np.sqrt(max(abs(float(np.linalg.det(slope))), 1e-12))
    return int(np.clip(round(spans), 1, min(rig.infrared.size)))


def lens_maps(
    camera: CameraModel, to_working: Matrix, size: Size, scale: float = 1.0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Where each pixel of (height, width) ``size`` comes from: two float32 maps, columns, rows.

    ``to_working`` takes undistorted pixels of the camera to pixels of the result; ``scale`` is
    the size of the picture read over the camera's.
    """
    height, width = size
    if camera.matrix is not None and camera.distortion is not None:
        lens = np.array(camera.matrix)
        columns, rows = cv2.initUndistortRectifyMap(
            lens,
            np.array(camera.distortion),
            to_working @ lens,
            np.eye(3),
            (width, height),
            cv2.CV_32FC1,
        )
    else:
        back = np.linalg.inv(to_working)
        x, y = np.meshgrid(np.arange(width), np.arange(height))
        depth = back[2, 0] * x + back[2, 1] * y + back[2, 2]
        # Behind the camera there is no picture: far outside, whatever the division says.
        front = depth * np.sign(back[2] @ [width / 2, height / 2, 1]) > 1e-9
        depth = np.where(front, depth, 1.0)
        columns = np.where(front, (back[0, 0] * x + back[0, 1] * y + back[0, 2]) / depth, -1e4)
        rows = np.where(front, (back[1, 0] * x + back[1, 1] * y + back[1, 2]) / depth, -1e4)
    columns, rows = (columns + 0.5) * scale - 0.5, (rows + 0.5) * scale - 0.5
    # Fixed-point maps hold 16-bit whole parts.
    return (
        np.clip(columns, -1e4, 3e4).astype(np.float32),
        np.clip(rows, -1e4, 3e4).astype(np.float32),
    )


def _outside(
    columns: npt.NDArray[np.float32], rows: npt.NDArray[np.float32], size: Size
) -> npt.NDArray[np.bool_]:
    """Where the maps leave a picture of ``size``, to half a pixel."""
    height, width = size
    inside = (columns >= -0.5) & (columns <= width - 0.5) & (rows >= -0.5) & (rows <= height - 0.5)
    return ~inside
