"""The demonstration: film a synthetic night street as two clips, fuse them, leave a picture.

A fresh machine has no thermal camera. The street has what fusion is for: people only the
infrared sees, signs and lamps only the visible camera sees.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from fractions import Fraction
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.capture.files.local_media import create_media
from mgdn_edge.runtime.capture.sources import open_infrared, open_visible
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.picture.colour import bgr_from_planes, place_chroma
from mgdn_edge.runtime.picture.frame import InfraredFrame, VisibleFrame
from mgdn_edge.runtime.stream.fuse_files import fuse_files
from mgdn_edge.runtime.stream.request import DEFAULT_NETWORK, FuseRequest
from mgdn_edge.runtime.stream.result import Summary
from mgdn_edge.runtime.synthetic import open_rig
from mgdn_edge.runtime.whole_file import Outputs, Overwrite

FRAMES = 100
RATE = 25  # frames per second
SCENE = f"synthetic://night?seed=1&fps={RATE}"
PICTURE_FRAME = 66  # everybody and both moving cars are in view
CAPTIONS = ("visible", "infrared", "fused")
FILES = VISIBLE, INFRARED, FUSED, PICTURE = "visible.mp4", "infrared.mp4", "demo.mp4", "demo.png"
FIGURES = "demo.json"

Bgr = npt.NDArray[np.uint8]  # (H, W, 3)


class DemoFigures(Summary, frozen=True):
    """demo.json: the fusion's figures, and the SHA-256 of ``files`` so that a rerun knows its own.

    A file of the demonstration that was changed since belongs to the user.
    """

    files: dict[str, str] = msgspec.field(default_factory=dict)


def run_demo(
    folder: Path,
    *,
    overwrite: Overwrite = False,
    progress: Progress = SILENT,
) -> Summary:
    """Leave visible.mp4, infrared.mp4, demo.mp4, demo.png and demo.json in ``folder``.

    What an earlier demonstration left there is replaced, other files only by ``overwrite``.
    Returns the figures.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        former = read_former(folder / FIGURES)
        outputs = Outputs([], overwrite)
        claimed = {
            name: outputs.claim(folder / name, "OUT", updates=is_former(folder / name, former))
            for name in (FIGURES, *FILES)
        }
        with TemporaryDirectory(dir=folder, prefix=".mgdn-") as scratch:
            summary = _make_demo(folder, Path(scratch), progress)
            contents = {name: (Path(scratch) / name).read_bytes() for name in FILES}
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    summary = msgspec.structs.replace(summary, output=str(folder / FUSED))
    figures = DemoFigures(**msgspec.structs.asdict(summary), files=digests)
    # Figures first: whatever comes after them is known as ours.
    claimed[FIGURES].write(msgspec.json.format(msgspec.json.encode(figures)))
    for name, data in contents.items():
        claimed[name].write(data)
    return summary


def read_former(path: Path) -> dict[str, str]:
    """demo.json of an earlier demonstration -> its files' SHA-256, its own too; {} without one."""
    try:
        data = path.read_bytes()
        files = msgspec.json.decode(data, type=DemoFigures).files
    except (OSError, msgspec.DecodeError):
        return {}
    return {**files, FIGURES: hashlib.sha256(data).hexdigest()} if files else {}


def is_former(path: Path, former: dict[str, str]) -> bool:
    """Whether ``path`` is what an earlier demonstration left, unchanged."""
    if path.name not in former or not path.is_file():
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest() == former[path.name]


def _make_demo(folder: Path, scratch: Path, progress: Progress) -> Summary:
    """Every file of the demonstration into ``scratch``, to be named in ``folder``."""
    visible, infrared, fused = (scratch / name for name in (VISIBLE, INFRARED, FUSED))
    progress.tell(
        f"filming {FRAMES} frames of {SCENE} into {folder / VISIBLE} and {folder / INFRARED}"
    )
    progress.begin("filming", 2 * FRAMES)
    rig = open_rig(SCENE)

    def filmed(take: Callable[[int], Bgr]) -> Iterator[Bgr]:
        for number in range(FRAMES):
            yield take(number)
            progress.advance()

    write_clip(visible, filmed(lambda number: visible_picture(rig.visible(number))))
    write_clip(infrared, filmed(lambda number: infrared_picture(rig.infrared(number))))
    progress.tell(f"fusing them into {folder / FUSED} with {DEFAULT_NETWORK}")
    request = FuseRequest(str(visible), str(infrared), str(fused))
    summary = fuse_files(request, progress=progress).summary
    picture = side_by_side(
        [read_visible_frame(visible), read_infrared_frame(infrared), read_visible_frame(fused)]
    )
    (scratch / PICTURE).write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return summary


def visible_picture(frame: VisibleFrame) -> Bgr:
    """Visible frame -> (H, W, 3) uint8 BGR."""
    planes = np.empty((*frame.y.shape, 3), np.uint8)
    planes[:, :, 0] = frame.y
    place_chroma(planes, frame)
    return bgr_from_planes(planes, frame.tags)


def infrared_picture(frame: InfraredFrame) -> Bgr:
    """8-bit infrared frame -> (H, W, 3) uint8 grey BGR."""
    return np.repeat(frame.plane[:, :, None].astype(np.uint8), 3, axis=2)


def write_clip(path: Path, images: Iterable[Bgr]) -> None:
    """(H, W, 3) uint8 BGR images of one even size -> an H.264 clip of RATE frames per second."""
    try:
        container = create_media(path, {})
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


def read_visible_frame(path: Path) -> Bgr:
    """(H, W, 3) uint8 BGR of the picture's frame in a visible or fused clip."""
    with open_visible(str(path)) as source, closing(source.frames()) as frames:
        return visible_picture(next(islice(frames, PICTURE_FRAME, None)))


def read_infrared_frame(path: Path) -> Bgr:
    """(H, W, 3) uint8 BGR of the picture's frame in an infrared clip."""
    with open_infrared(str(path)) as source, closing(source.frames()) as frames:
        return infrared_picture(next(islice(frames, PICTURE_FRAME, None)))


def side_by_side(images: list[Bgr]) -> Bgr:
    """Captioned images of one height, side by side."""
    captioned = []
    for image, caption in zip(images, CAPTIONS, strict=True):
        canvas = image.copy()
        for shade, thickness in ((0, 4), (255, 1)):
            colour = (shade, shade, shade)
            cv2.putText(canvas, caption, (12, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.8, colour, thickness)
        captioned.append(canvas)
    return np.asarray(cv2.hconcat(captioned), np.uint8)
