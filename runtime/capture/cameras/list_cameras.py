"""list_cameras: what is plugged in, and the URI to use it by."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

DEVICES = Path("/sys/class/video4linux")
JETSON = Path("/etc/nv_tegra_release")
# Names under which thermal cores and their USB adapters appear.
THERMAL = re.compile(
    r"purethermal|lepton|boson|flir|seek|infiray|thermal|tiny1|hikmicro|guide", re.I
)


class FoundCamera(msgspec.Struct, frozen=True):
    """``kind`` is a guess by name; ``formats`` are those that are read, None where not asked
    or where ``problem`` says why they are not known.
    """

    uri: str
    name: str
    kind: str
    formats: tuple[str, ...] | None
    problem: str = ""


def list_cameras(devices: Path = DEVICES, jetson: Path = JETSON) -> list[FoundCamera]:
    """V4L2 devices that deliver pictures, in order, then the CSI ports of a Jetson."""
    found = []
    nodes = sorted(devices.glob("video*"), key=lambda node: int(node.name[5:] or 0))
    for node in nodes:
        name = _read(node / "name")
        if _read(node / "index") not in ("", "0"):
            continue  # a second node of the same camera carries metadata
        kind = "thermal" if THERMAL.search(name) else "visible"
        uri = f"v4l2:///dev/{node.name}"
        formats, problem = _formats(Path("/dev") / node.name)
        found.append(FoundCamera(uri, name, kind, formats, problem))
    if jetson.exists():
        found += [
            FoundCamera(f"csi://{n}", "MIPI camera, if connected", "visible", None) for n in (0, 1)
        ]
    return found


def fuse_command_for(cameras: list[FoundCamera]) -> str:
    """Cameras found -> the command that fuses two; VISIBLE and INFRARED name one not found."""
    visible = next((each.uri for each in cameras if each.kind == "visible"), "VISIBLE")
    infrared = next((each.uri for each in cameras if each.kind == "thermal"), "INFRARED")
    return f"mgdn fuse {visible} {infrared} fused.mp4 --resize"


def _formats(device: Path) -> tuple[tuple[str, ...] | None, str]:
    from mgdn_edge.runtime.capture.cameras.pixel_buffers import FOURCC

    try:
        from linuxpy.video.device import Device

        with Device(device) as camera:
            names = {entry.pixel_format.name for entry in camera.info.formats}
    except ImportError:
        return None, "formats need: pip install 'mgdn-edge[v4l2]'"
    except OSError as error:
        return None, f"does not open: {error.strerror or error}"
    return tuple(sorted({FOURCC[name] for name in names if name in FOURCC})), ""


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
