"""The demonstration: film a synthetic night street as two clips, fuse them, leave a picture.

A fresh machine has no thermal camera. The street has what fusion is for: people only the
infrared sees, signs and lamps only the visible camera sees.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.capture.sources import open_infrared, open_visible
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.colour import bgr_from_planes, place_chroma
from mgdn_edge.runtime.picture.frame import InfraredFrame, VisibleFrame
from mgdn_edge.runtime.stream.fuse_files import DEFAULT_NETWORK, Summary, fuse_files
from mgdn_edge.runtime.synthetic import open_rig
from mgdn_edge.runtime.whole_file import write_whole

FRAMES = 100
RATE = 25  # frames per second
SCENE = f"synthetic://night?seed=1&fps={RATE}"
PICTURE_FRAME = 66  # everybody and both moving cars are in view
CAPTIONS = ("visible", "infrared", "fused")

Image = npt.NDArray[np.uint8]


def run_demo(
    folder: Path,
    *,
    on_step: Callable[[str], None] = lambda step: None,
    on_start: Callable[[int], None] = lambda count: None,
    on_frame: Callable[[], None] = lambda: None,
) -> Summary:
    """Leave visible.mp4, infrared.mp4, demo.mp4, demo.png and demo.json in ``folder``.

    ``on_step`` is told what is being done, ``on_start`` how many frames will be drawn or fused,
    ``on_frame`` after each. Returns the figures.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error
    visible, infrared = folder / "visible.mp4", folder / "infrared.mp4"
    fused = folder / "demo.mp4"
    on_step(f"filming {FRAMES} frames of {SCENE} into {visible} and {infrared}")
    on_start(3 * FRAMES)
    rig = open_rig(SCENE)

    def filmed(take: Callable[[int], Image]) -> Iterator[Image]:
        for number in range(FRAMES):
            yield take(number)
            on_frame()

    write_clip(visible, filmed(lambda number: visible_picture(rig.visible(number))))
    write_clip(infrared, filmed(lambda number: infrared_picture(rig.infrared(number))))
    on_step(f"fusing them into {fused} with {DEFAULT_NETWORK}")
    summary = fuse_files(str(visible), str(infrared), str(fused), on_frame=on_frame)
    write_whole(folder / "demo.json", msgspec.json.format(msgspec.json.encode(summary)))
    picture = strip([read_visible(visible), read_infrared(infrared), read_visible(fused)])
    write_whole(folder / "demo.png", cv2.imencode(".png", picture)[1].tobytes())
    return summary


def visible_picture(frame: VisibleFrame) -> Image:
    """Visible frame -> (H, W, 3) uint8 BGR."""
    planes = np.empty((*frame.y.shape, 3), np.uint8)
    planes[:, :, 0] = frame.y
    place_chroma(planes, frame)
    return bgr_from_planes(planes, frame.tags)


def infrared_picture(frame: InfraredFrame) -> Image:
    """8-bit infrared frame -> (H, W, 3) uint8 grey BGR."""
    return np.repeat(frame.plane[:, :, None].astype(np.uint8), 3, axis=2)


def write_clip(path: Path, images: Iterable[Image]) -> None:
    """(H, W, 3) uint8 BGR images of one even size -> an H.264 clip of RATE frames per second."""
    try:
        container = av.open(str(path), "w")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    with container:
        stream = container.add_stream(
            "libx264", rate=RATE, options={"crf": "12", "bf": "0", "preset": "veryfast"}
        )
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, RATE)
        for number, image in enumerate(images):
            if number == 0:
                stream.height, stream.width = image.shape[:2]
            frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def read_visible(path: Path) -> Image:
    """(H, W, 3) uint8 BGR of the picture's frame in a visible or fused clip."""
    with open_visible(str(path)) as source, closing(source.frames()) as frames:
        return visible_picture(next(islice(frames, PICTURE_FRAME, None)))


def read_infrared(path: Path) -> Image:
    """(H, W, 3) uint8 BGR of the picture's frame in an infrared clip."""
    with open_infrared(str(path)) as source, closing(source.frames()) as frames:
        return infrared_picture(next(islice(frames, PICTURE_FRAME, None)))


def strip(images: list[Image]) -> Image:
    """Captioned images of one height, side by side."""
    captioned = []
    for image, caption in zip(images, CAPTIONS, strict=True):
        canvas = image.copy()
        for shade, thickness in ((0, 4), (255, 1)):
            colour = (shade, shade, shade)
            cv2.putText(canvas, caption, (12, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.8, colour, thickness)
        captioned.append(canvas)
    return np.asarray(cv2.hconcat(captioned), np.uint8)
