"""Drawn scenes fused by the packaged network, so that two machines can be compared.

python fused_frames.py write FILE.npz
python fused_frames.py compare FILE.npz OTHER.npz
python fused_frames.py compare-clips FILE.mp4 OTHER.mp4
"""

import sys

import cv2
import numpy as np

from mgdn_edge.runtime.golden import draw_scene
from mgdn_edge.runtime.networks import open_session

NETWORK = "mgdn-edge"
SIZES = [(480, 640), (61, 83), (1, 1)]  # the static variant, the dynamic one, its smallest frame
# float32 sums in another order may round to the neighbouring level.
TOLERANCE = 1
# Mean over a clip: one level of the encoder's input may become more after quantisation.
CLIP_TOLERANCE = 1.0


def write(path: str) -> None:
    """Fuse one scene a size; the golden pair has been compared when the session opens."""
    fused = {}
    for height, width in SIZES:
        with open_session(NETWORK, size=(height, width), native=True) as session:
            assert session.filter_implementation == "native"
            fused[f"{width}x{height}, {session.variant}"] = session.fuse(*draw_scene(height, width))
    np.savez(path, **fused)


def compare(path: str, other: str) -> int:
    """Print the largest difference of each frame; the number of frames that are too far."""
    ours, theirs = np.load(path), np.load(other)
    assert ours.files == theirs.files and len(ours.files) == len(SIZES)
    too_far = 0
    for name in ours.files:
        difference = np.abs(ours[name].astype(int) - theirs[name])
        too_far += int(difference.max()) > TOLERANCE
        print(
            f"{NETWORK} {name}: at most {difference.max()} levels apart "
            f"({TOLERANCE} allowed), in {np.count_nonzero(difference)} of {difference.size} pixels"
        )
        # Something other than a constant was fused, else agreement would prove nothing.
        too_far += difference.size > 1 and int(np.ptp(ours[name])) < 100
    return too_far


def read_clip(path: str) -> np.ndarray:
    """A clip -> (frames, H, W, 3) uint8."""
    capture = cv2.VideoCapture(path)
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return np.stack(frames)


def compare_clips(path: str, other: str) -> bool:
    """Print the mean difference of two decoded clips; True if they are too far apart."""
    ours, theirs = read_clip(path), read_clip(other)
    assert ours.shape == theirs.shape
    mean = np.abs(ours.astype(int) - theirs).mean()
    print(f"mgdn fuse, {len(ours)} frames: {mean:.3f} levels apart ({CLIP_TOLERANCE} allowed)")
    # The first frame is not the last, else frames could be exchanged unnoticed.
    assert np.abs(ours[0].astype(int) - ours[-1]).mean() > CLIP_TOLERANCE
    return bool(mean > CLIP_TOLERANCE)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", file]:
            write(file)
        case ["compare", file, reference]:
            sys.exit(compare(file, reference))
        case ["compare-clips", file, reference]:
            sys.exit(compare_clips(file, reference))
        case _:
            sys.exit(__doc__)
