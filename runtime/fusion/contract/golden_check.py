"""The golden pair: two small images and what fusing them must give, checked at every load."""

import numpy as np

from mgdn_edge.runtime.bundle.manifest import FileRef, Variant, variant_label
from mgdn_edge.runtime.bundle.png_file import MAX_PIXELS, MAX_SIDE, is_bounded_grey_png
from mgdn_edge.runtime.bundle.reader import Bundle
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.contract.session import Session
from mgdn_edge.runtime.picture.frame import Plane
from mgdn_edge.runtime.quality.parity import Parity, measure_parity

GOLDEN = "golden pair"
PNG_COMPRESSION = 9


def check_golden(bundle: Bundle, variant: Variant, session: Session) -> Parity:
    """Fuse the variant's golden pair; UserError naming difference and tolerance if it is off."""
    parity = measure_golden(bundle, variant, session)
    refusal = refuse_golden(bundle, variant, session, parity)
    if refusal is not None:
        raise refusal
    return parity


def refuse_golden(
    bundle: Bundle, variant: Variant, session: Session, parity: Parity
) -> UserError | None:
    """The error of a golden pair that is too far off, None where it is near enough."""
    if parity.passed:
        return None
    return UserError(
        f"bundle {bundle.path}, variant {variant_label(variant)} on {session.backend}: the "
        f"golden pair differs by up to {parity.max_error:.0f} levels; "
        f"{parity.tolerance:.0f} are allowed, so this machine would not fuse what the bundle's "
        "author saw"
    )


def measure_golden(bundle: Bundle, variant: Variant, session: Session) -> Parity:
    """Fuse the variant's golden pair on ``session`` and compare with the expected image."""
    golden = variant.golden
    visible, infrared, expected = (
        _read_plane(bundle, ref) for ref in (golden.visible, golden.infrared, golden.expected)
    )
    if not visible.shape == infrared.shape == expected.shape:
        raise UserError(
            f"bundle {bundle.path}: golden images of variant {variant.name} have different "
            f"sizes {visible.shape}, {infrared.shape}, {expected.shape}"
        )
    fused = session.fuse(visible, infrared)
    return measure_parity(fused, expected, data_range=255, tolerance=float(golden.tolerance_levels))


def encode_plane(plane: Plane) -> bytes:
    """(H, W) uint8 -> grey PNG file."""
    import cv2

    done, data = cv2.imencode(".png", plane, [cv2.IMWRITE_PNG_COMPRESSION, PNG_COMPRESSION])
    if not done:
        raise RuntimeError(f"OpenCV could not encode a {plane.shape} plane as PNG")
    return data.tobytes()


def _read_plane(bundle: Bundle, ref: FileRef) -> Plane:
    import cv2

    data = bundle.read(ref)
    problem = (
        f"bundle {bundle.path}: {ref.path} is not a sound grey 8-bit PNG of at most {MAX_SIDE} "
        f"pixels a side and {MAX_PIXELS} in all; create the bundle again"
    )
    if not is_bounded_grey_png(data):
        raise UserError(problem)
    plane = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if plane is None or plane.ndim != 2 or plane.dtype != np.uint8:
        raise UserError(problem)
    decoded: Plane = plane.astype(np.uint8, copy=False)
    return decoded
