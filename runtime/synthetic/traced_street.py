"""What every pixel of a camera sees of the empty street: surface, distance, coordinates.

Rays meet the ground, two rows of houses and the boards of signs by arithmetic; posts and trees
are flat shapes that stand upright at one depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.synthetic.camera import Camera
from mgdn_edge.runtime.synthetic.street import FACADE_X, STREET_END, Sign, Street
from mgdn_edge.runtime.synthetic.texture import Float32s, sample_noise

SKY, GROUND, WALL, SKYLINE, SIGN, POST, TRUNK, CROWN, LAMP = range(9)
FAR = 1e4  # metres: the sky's distance
SAMPLES = 2  # rays a pixel and direction below, so that edges are smooth
SAMPLED_PIXELS = 1_000_000  # larger pictures take one ray: 4 would need gigabytes
ARM = 1.2  # metres from a lamp's post to its head


@dataclass
class Traced:
    """(H * samples, W * samples) planes of one camera.

    ``u``, ``v`` are metres on the surface: (x, z) on the ground, (z, y) on walls, (x, y)
    elsewhere. ``index`` numbers the house (left row first) or the sign.
    """

    rays: Float32s
    depth: Float32s
    surface: npt.NDArray[np.uint8]
    index: npt.NDArray[np.uint8]
    samples: int

    def positions(self, camera: Camera) -> Float32s:
        """(H, W, 3) float32 world metres."""
        place = camera.position.astype(np.float32) + self.rays * self.depth[:, :, None]
        return np.asarray(place, np.float32)


def trace_street(street: Street, camera: Camera) -> Traced:
    """The street without people and cars, as ``camera`` sees it."""
    samples = SAMPLES if camera.size[0] * camera.size[1] <= SAMPLED_PIXELS else 1
    rays = camera.rays(samples)
    shape = rays.shape[:2]
    traced = Traced(
        rays,
        np.full(shape, FAR, np.float32),
        np.full(shape, SKY, np.uint8),
        np.zeros(shape, np.uint8),
        samples,
    )
    _meet_skyline(traced, camera, street)
    with np.errstate(divide="ignore"):
        ground = -np.float32(camera.position[1]) / rays[:, :, 1]
    _keep_nearer(traced, ground, (ground > 0) & (ground < FAR), GROUND)
    for row, side in enumerate((-1, 1)):
        _meet_houses(traced, camera, street, row, side)
    for tree in street.trees:
        _stand_tree(traced, camera, street, tree.x, tree.z, tree.crown, tree.radius)
    for number, sign in enumerate(street.signs):
        if sign.side == 0:
            _stand_sign(traced, camera, sign, number)
    for x, height, z in street.lamps:
        inward = x - np.sign(x) * ARM
        _stand(traced, camera, [(x - 0.06, 0), (x + 0.06, 0), (x + 0.05, height)], z, POST)
        arm = [(x, height), (inward, height + 0.14), (inward, height + 0.04), (x, height - 0.1)]
        _stand(traced, camera, arm, z, POST)
        head = [(inward - 0.3, height + 0.08), (inward + 0.3, height + 0.08)]
        _stand(traced, camera, [*head, (inward + 0.2, height - 0.1), (inward - 0.2, height - 0.1)],
               z, LAMP)  # fmt: skip
    return traced


def _keep_nearer(
    traced: Traced, depth: Float32s, hit: npt.NDArray[np.bool_], surface: int
) -> npt.NDArray[np.bool_]:
    nearer: npt.NDArray[np.bool_] = hit & (depth < traced.depth)
    np.copyto(traced.depth, depth, where=nearer)
    traced.surface[nearer] = surface
    return nearer


def _meet_skyline(traced: Traced, camera: Camera, street: Street) -> None:
    """A far row of roofs closes the street."""
    x = camera.position[0] + traced.rays[:, :, 0] * STREET_END * 1.5
    y = camera.position[1] + traced.rays[:, :, 1] * STREET_END * 1.5
    draw = np.random.default_rng([street.seed, 8])
    heights = draw.uniform(6, 17, 64).astype(np.float32)
    block = np.clip(np.floor(x / 9.0) + 32, 0, 63).astype(np.int64)
    depth = np.full(x.shape, STREET_END * 1.5, np.float32)
    _keep_nearer(traced, depth, (y < heights[block]) & (y > 0), SKYLINE)


def _meet_houses(traced: Traced, camera: Camera, street: Street, row: int, side: int) -> None:
    houses = street.houses[row]
    ends = np.array([house.end for house in houses], np.float32)
    starts = np.array([house.start for house in houses], np.float32)
    heights = np.array([house.height for house in houses], np.float32)
    with np.errstate(divide="ignore"):
        depth = np.float32(side * FACADE_X - camera.position[0]) / traced.rays[:, :, 0]
    depth = np.where((depth > 0) & (depth < FAR), depth, np.float32(FAR)).astype(np.float32)
    z = traced.rays[:, :, 2] * depth
    y = camera.position[1] + traced.rays[:, :, 1] * depth
    number = np.minimum(np.searchsorted(ends, z), len(houses) - 1)
    hit = (z >= starts[number]) & (z < ends[number]) & (y < heights[number]) & (y > 0)
    nearer = _keep_nearer(traced, depth, hit, WALL)
    offset = row * len(street.houses[0])
    traced.index[nearer] = number[nearer] + offset


def _stand(
    traced: Traced, camera: Camera, corners: list[tuple[float, float]], z: float, surface: int
) -> None:
    """A polygon of (x, y) metres upright at ``z``."""
    points = camera.project(np.array([(x, y, z) for x, y in corners], np.float64))
    pixels = (points[:, :2] + 0.5) * traced.samples - 0.5
    drawn = np.zeros(traced.depth.shape, np.uint8)
    bounded = np.clip(np.rint(pixels * 16), -(2**24), 2**24).astype(np.int32)
    cv2.fillPoly(drawn, [bounded], 1, shift=4)
    _keep_nearer(traced, _depth_of(traced, z), drawn > 0, surface)


def _depth_of(traced: Traced, z: float) -> Float32s:
    """Distance in camera depths to the upright plane at ``z``."""
    forward = np.maximum(traced.rays[:, :, 2], 1e-3)
    return np.asarray(np.float32(z) / forward, np.float32)


def _stand_sign(traced: Traced, camera: Camera, sign: Sign, number: int) -> None:
    left, right = sign.start, sign.start + sign.width
    top = sign.bottom + sign.height
    for x in (left + 0.4, right - 0.4):
        post = [(x - 0.07, 0.0), (x + 0.07, 0.0), (x + 0.07, top), (x - 0.07, top)]
        _stand(traced, camera, post, sign.z + 0.1, POST)
    depth = _depth_of(traced, sign.z)
    x = camera.position[0] + traced.rays[:, :, 0] * depth
    y = camera.position[1] + traced.rays[:, :, 1] * depth
    on_board = (x > left) & (x < right) & (y > sign.bottom) & (y < top)
    traced.index[_keep_nearer(traced, depth, on_board, SIGN)] = number


def _stand_tree(
    traced: Traced, camera: Camera, street: Street, x: float, z: float, crown: float, radius: float
) -> None:
    trunk = [(x - 0.16, 0.0), (x + 0.16, 0.0), (x + 0.09, crown), (x - 0.09, crown)]
    _stand(traced, camera, trunk, z, TRUNK)
    depth = _depth_of(traced, z)
    across = camera.position[0] + traced.rays[:, :, 0] * depth - x
    up = camera.position[1] + traced.rays[:, :, 1] * depth - crown
    near = (np.abs(across) < 2 * radius) & (np.abs(up) < 2 * radius)
    if not near.any():
        return
    across, up = across[near], up[near]
    rough = sample_noise(across + 3 * z, up, 6.0, street.seed + 11)
    near[near] = (across / radius) ** 2 + (up / (1.2 * radius)) ** 2 < 1 + 0.38 * rough
    _keep_nearer(traced, depth, near, CROWN)
