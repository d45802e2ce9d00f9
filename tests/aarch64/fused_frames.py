"""Drawn scenes fused by the packaged network, so that two machines can be compared.

python fused_frames.py write FILE.npz
python fused_frames.py write-lowered FILE.npz BUNDLE.mgdn
python fused_frames.py compare FILE.npz OTHER.npz
python fused_frames.py compare-clips FILE.mp4 OTHER.mp4
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import start_variant
from mgdn_edge.runtime.fusion.contract.golden_check import check_golden
from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
from mgdn_edge.runtime.fusion.open_session import open_session
from mgdn_edge.runtime.picture.drawn_scene import draw_scene

NETWORK, NATIVE = "mgdn-edge", SessionChoice(filter="native")
SIZES = [(480, 640), (61, 83), (1, 1)]  # the static variant, the dynamic one, its smallest frame
# float32 sums in another order may round to the neighbouring level.
TOLERANCE = 1
# What a lowered bundle must hold, in levels: 1, 2 and 1 between ONNX Runtime 1.32 on x86-64 and
# 1.23.2 here. TensorRT's int8 file has float16 between its 8-bit layers.
LOWERED = {"int8 onnxruntime-cpu": 1, "int8 tensorrt": 3, "fp16 tensorrt": 2}
# Mean over a clip, in levels: 0.83 between the x264 of PyAV 17.1 here and of 18.1 there; another
# network is 3.9 (laplacian) or 21 (average) away.
CLIP_TOLERANCE = 1.5


def write(path: str) -> None:
    """Fuse one scene a size; the golden pair has been compared when the session opens."""
    fused = {}
    for height, width in SIZES:
        with open_session(NETWORK, NATIVE, size=(height, width)) as session:
            assert session.filter_implementation == "native"
            fused[f"{width}x{height}, {session.variant}"] = session.fuse(*draw_scene(height, width))
    np.savez(path, **fused)


def write_lowered(path: str, bundle_path: str) -> None:
    """Fuse one scene with 8-bit and float16 files, TensorRT's too, after their golden pairs."""
    fused = {}
    with open_bundle(Path(bundle_path)) as bundle:
        for variant in bundle.manifest.variants:
            if variant.precision == "fp32" or variant.height not in (None, SIZES[0][0]):
                continue
            label = f"{variant.precision} {variant.backends[0]}"
            height, width = variant.height or SIZES[1][0], variant.width or SIZES[1][1]
            with start_variant(bundle, variant, filter="native") as session:
                check_golden(bundle, variant, session)
                frame = session.fuse(*draw_scene(height, width))
            fused[f"{width}x{height}, {variant.name}, {label}"] = frame
    assert {name.split(", ")[2] for name in fused} == {*LOWERED}, f"refused: only {[*fused]}"
    np.savez(path, **fused)


def compare(path: str, other: str) -> int:
    """Print the largest difference of each frame; the number of frames that are too far."""
    ours, theirs = np.load(path), np.load(other)
    assert ours.files == theirs.files and len(ours.files) >= len(SIZES)
    too_far = 0
    for name in ours.files:
        difference = np.abs(ours[name].astype(int) - theirs[name])
        tolerance = LOWERED.get(name.split(", ")[-1], TOLERANCE)
        too_far += int(difference.max()) > tolerance
        print(
            f"{NETWORK} {name}: at most {difference.max()} levels apart "
            f"({tolerance} allowed), in {np.count_nonzero(difference)} of {difference.size} pixels"
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
        case ["write-lowered", file, bundle]:
            write_lowered(file, bundle)
        case ["compare", file, reference]:
            sys.exit(compare(file, reference))
        case ["compare-clips", file, reference]:
            sys.exit(compare_clips(file, reference))
        case _:
            sys.exit(__doc__)
