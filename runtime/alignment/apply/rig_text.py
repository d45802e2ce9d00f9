"""A CameraRig as TOML with comments, written whole; tomllib reads back equal values."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mgdn_edge.runtime.alignment.apply.rig_file import CameraModel, CameraRig, Rows
from mgdn_edge.runtime.whole_file import Outputs, Overwrite


def write_rig(path: Path, rig: CameraRig, overwrite: Overwrite = False) -> None:
    """Write ``rig`` to ``path``; raises UserError where that cannot be written."""
    Outputs([], overwrite).claim(path, "RIG", ".toml").write(rig_text(rig).encode())


def rig_text(rig: CameraRig) -> str:
    """CameraRig -> TOML. Numbers keep every digit that distinguishes them."""
    lines = [
        "# How the infrared camera's picture lies on the visible camera's. Sizes and views are in",
        "# pixels, width before height; pixel 0 is the centre of the first one.",
        f'schema = "{rig.schema}"',
        f'method = "{rig.method}"',
        f'area = "{rig.area}" # fill: all the visible camera sees; crop: what both see',
        f"working_size = {_list(rig.working_width_height)} # the fused picture",
        f"view = {_list(rig.view)} # the part of the visible picture it shows: left, top, size",
        f"clock_offset_ms = {_number(rig.clock_offset_ms)} # infrared stamps minus visible stamps",
        "",
        *_camera("visible", rig.visible),
        *_camera("infrared", rig.infrared),
    ]
    for plane in rig.plane:
        lines += ["[[plane]] # infrared pixels (x, y, 1) to visible pixels"]
        if plane.distance_m is not None:
            lines += [f"distance_m = {_number(plane.distance_m)}"]
        lines += [f"homography = {_rows(plane.homography)}", ""]
    if rig.pose is not None:
        lines += [
            "[pose] # infrared camera coordinates to visible ones, metres",
            f"rotation = {_rows(rig.pose.rotation)}",
            f"translation_m = {_list(rig.pose.translation_m)}",
            "",
        ]
    quality = rig.quality
    lines += [
        "[quality]",
        f"error_px = {_number(quality.error_px)} # expected misalignment, visible pixels",
        f'error_from = "{quality.error_from}"',
        f"evidence = {quality.evidence}",
        f"coverage = {_number(quality.coverage)} # share of the view that infrared covers",
    ]
    if quality.confidence is not None:
        lines += [f"confidence = {_number(quality.confidence)}"]
    return "\n".join(lines) + "\n"


def _camera(name: str, camera: CameraModel) -> list[str]:
    lines = [f"[{name}]", f"size = {_list(camera.width_height)}"]
    if camera.matrix is not None:
        lines += [f"matrix = {_rows(camera.matrix)}"]
    if camera.distortion is not None:
        lines += [f"distortion = {_list(camera.distortion)} # k1, k2, p1, p2, k3"]
    return [*lines, ""]


def _number(value: float) -> str:
    return repr(round(float(value), 12))


def _list(values: Iterable[float]) -> str:
    return f"[{', '.join(str(v) if isinstance(v, int) else repr(float(v)) for v in values)}]"


def _rows(rows: Rows) -> str:
    return "[\n" + "".join(f"  {_list(row)},\n" for row in rows) + "]"
