"""The demonstration: draw a small night scene as two clips, fuse them, leave a picture.

A fresh machine has no thermal camera. The scene has what fusion is for: people only the
infrared sees, a sign and lamps only the visible camera sees.
"""

from collections.abc import Callable, Iterable
from contextlib import closing
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.compose import bgr_from_planes, place_chroma
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fuse import DEFAULT_NETWORK, Summary, fuse_files
from mgdn_edge.runtime.sources import open_infrared, open_visible
from mgdn_edge.runtime.whole_file import write_whole

FRAMES = 150
RATE = 25  # frames per second
HEIGHT, WIDTH = 480, 640
HORIZON = 250  # row where the street begins, pixels
PICTURE_FRAME = 90  # both people and the car are in view
CAPTIONS = ("visible", "infrared", "fused")

Image = npt.NDArray[np.uint8]


def run_demo(
    folder: Path,
    *,
    on_step: Callable[[str], None] = lambda step: None,
    on_start: Callable[[int], None] | None = None,
    on_frame: Callable[[], None] | None = None,
) -> Summary:
    """Leave visible.mp4, infrared.mp4, demo.mp4, demo.png and demo.json in ``folder``.

    ``on_step`` is told what is being done; the others are ``fuse_files``'s. Returns the figures.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error
    visible, infrared = folder / "visible.mp4", folder / "infrared.mp4"
    fused = folder / "demo.mp4"
    on_step(f"drawing {FRAMES} frames of {WIDTH}x{HEIGHT} into {visible} and {infrared}")
    write_clip(visible, (draw_visible(number) for number in range(FRAMES)), "bgr24")
    write_clip(infrared, (draw_infrared(number) for number in range(FRAMES)), "gray")
    on_step(f"fusing them into {fused} with {DEFAULT_NETWORK}")
    summary = fuse_files(
        str(visible), str(infrared), str(fused), on_start=on_start, on_frame=on_frame
    )
    write_whole(folder / "demo.json", msgspec.json.format(msgspec.json.encode(summary)))
    picture = strip([read_visible(visible), read_infrared(infrared), read_visible(fused)])
    write_whole(folder / "demo.png", cv2.imencode(".png", picture)[1].tobytes())
    return summary


def draw_visible(number: int) -> Image:
    """Frame number -> (H, W, 3) uint8 BGR: a street at night, a lit sign, a car's headlights."""
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
    sky = 14 + 22 * np.clip(rows / HORIZON, 0, 1)
    image = np.repeat(sky, WIDTH, axis=1)[:, :, None] * np.array([1.3, 0.9, 0.8])
    image[HORIZON:] = (26, 27, 28)
    canvas = image.astype(np.uint8)
    cv2.rectangle(canvas, (30, 70), (250, HORIZON + 20), (30, 32, 40), -1)
    for window in range(6):
        x, y = 50 + 65 * (window % 3), 95 + 75 * (window // 3)
        glass = (60, 190, 235) if window in (1, 3) else (38, 34, 30)
        cv2.rectangle(canvas, (x, y), (x + 38, y + 44), glass, -1)
    cv2.rectangle(canvas, (400, 105), (590, 165), (20, 90, 30), -1)
    cv2.putText(canvas, "EXIT 12", (412, 149), cv2.FONT_HERSHEY_SIMPLEX, 1.3, (235, 245, 235), 3)
    cv2.line(canvas, (495, 165), (495, HORIZON + 5), (70, 70, 70), 5)
    for x in range(-40 + number * 2 % 80, WIDTH, 80):
        cv2.line(canvas, (x, 430), (x + 36, 430), (120, 125, 125), 4)
    for left in (car_left(number) + 12, car_left(number) + 112):
        glow = np.zeros_like(canvas)
        cv2.circle(glow, (left, 345), 34, (90, 120, 130), -1)
        canvas = cv2.add(canvas, cv2.GaussianBlur(glow, (0, 0), 14))
        cv2.circle(canvas, (left, 345), 8, (225, 250, 255), -1)
    for x, height in people(number):
        draw_person(canvas, x, height, (31, 30, 30))
    return with_noise(canvas, 5.0, number)


def draw_infrared(number: int) -> Image:
    """Frame number -> (H, W) uint8: warm people, a warm bonnet, cool sky, flat sign."""
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
    canvas = np.repeat(18 + 44 * np.clip(rows / HORIZON, 0, 1), WIDTH, axis=1).astype(np.uint8)
    canvas[HORIZON:] = 70
    cv2.rectangle(canvas, (30, 70), (250, HORIZON + 20), 84, -1)
    for window in range(6):
        x, y = 50 + 65 * (window % 3), 95 + 75 * (window // 3)
        cv2.rectangle(canvas, (x, y), (x + 38, y + 44), 108, -1)
    cv2.rectangle(canvas, (400, 105), (590, 165), 58, -1)
    left = car_left(number)
    cv2.rectangle(canvas, (left, 300), (left + 124, 372), 96, -1)
    cv2.ellipse(canvas, (left + 62, 335), (44, 18), 0, 0, 360, 190, -1)
    for x in (left + 20, left + 104):
        cv2.circle(canvas, (x, 374), 14, 140, -1)
    for x, height in people(number):
        draw_person(canvas, x, height, 226)
    blurred = np.asarray(cv2.GaussianBlur(canvas, (0, 0), 1.1), np.uint8)
    return with_noise(blurred, 2.0, FRAMES + number)


def car_left(number: int) -> int:
    """Left edge of the car in pixels."""
    return 560 - 3 * number


def people(number: int) -> list[tuple[int, int]]:
    """Feet's column and height in pixels of every person."""
    return [(300 + number, 120), (130 - number // 3, 96)]


def draw_person(canvas: Image, x: int, height: int, colour: int | tuple[int, int, int]) -> None:
    """A standing figure with its feet on row 400, in place."""
    shade = colour if isinstance(colour, tuple) else (colour,)
    head = height // 8
    cv2.circle(canvas, (x, 400 - height + head), head, shade, -1)
    cv2.ellipse(
        canvas, (x, 400 - height * 5 // 9), (height // 7, height // 3), 0, 0, 360, shade, -1
    )
    for side in (-1, 1):
        foot = (x + side * height // 10, 400)
        cv2.line(canvas, (x, 400 - height // 3), foot, shade, height // 9)


def with_noise(image: Image, deviation: float, seed: int) -> Image:
    """uint8 image plus Gaussian sensor noise of ``deviation`` levels, seeded."""
    noise = np.random.default_rng(seed).standard_normal(image.shape[:2], np.float32) * deviation
    if image.ndim == 3:
        noise = noise[:, :, None]
    noisy: Image = np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
    return noisy


def write_clip(path: Path, images: Iterable[Image], pixels: str) -> None:
    """Images (``pixels`` is "bgr24" or "gray") -> an H.264 clip of RATE frames per second."""
    try:
        container = av.open(str(path), "w")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    with container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "12", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, RATE)
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format=pixels).reformat(format="yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def read_visible(path: Path) -> Image:
    """(H, W, 3) uint8 BGR of the picture's frame in a visible or fused clip."""
    with open_visible(str(path)) as source, closing(source.frames()) as frames:
        frame = next(islice(frames, PICTURE_FRAME, None))
        planes = np.empty((*frame.y.shape, 3), np.uint8)
        planes[:, :, 0] = frame.y
        place_chroma(planes, frame)
        return bgr_from_planes(planes, frame.tags)


def read_infrared(path: Path) -> Image:
    """(H, W, 3) uint8 BGR of the picture's frame in an infrared clip."""
    with open_infrared(str(path)) as source, closing(source.frames()) as frames:
        plane = next(islice(frames, PICTURE_FRAME, None)).plane
        return np.repeat(plane[:, :, None].astype(np.uint8), 3, axis=2)


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
