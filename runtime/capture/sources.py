"""Sources by URI: ``open_visible`` and ``open_infrared`` over files, folders and cameras.

    with open_visible("vi.mp4") as source:
        for frame in source.frames():
            ...

A source may be read again: every ``frames()`` starts at the first frame. Planes may be views
of decoder memory and stay valid as long as they are referenced.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar
from urllib.parse import unquote

from mgdn_edge.runtime.capture.cameras.camera_uri import parse_options, split_uri
from mgdn_edge.runtime.capture.cameras.looped_recording import LoopReader
from mgdn_edge.runtime.capture.files.image_file import is_image
from mgdn_edge.runtime.capture.files.images import ImageReader, list_images, open_folder
from mgdn_edge.runtime.capture.files.video import VideoReader
from mgdn_edge.runtime.capture.frames.eight_bit import (
    InfraredLevels,
    InfraredOptions,
    visible_frame,
)
from mgdn_edge.runtime.capture.frames.raw_frame import Band, RawFrame, Reader
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.frame import InfraredFrame, SourceInfo, VisibleFrame
from mgdn_edge.runtime.secrets.redaction import remember_secrets
from mgdn_edge.runtime.synthetic.rig_options import is_rig

LOOP_OPTIONS = ("loop", "fps")

F = TypeVar("F", VisibleFrame, InfraredFrame)

__all__ = [
    "InfraredOptions",
    "Source",
    "local_path",
    "open_infrared",
    "open_visible",
    "source_files",
]


class Source(Generic[F]):
    """Frames of one URI. Owns the files it opens, until closed."""

    def __init__(self, reader: Reader, start: Callable[[], Callable[[RawFrame], F]]) -> None:
        """``start`` gives what converts one reading's frames, which may remember some of them."""
        self._reader = reader
        self._start: Callable[[], Callable[[RawFrame], F]] = start
        self._running: list[Generator[F, None, None]] = []
        self._before_close: list[Callable[[], None]] = []

    @property
    def info(self) -> SourceInfo:
        """What the source promises before its first frame."""
        return self._reader.info

    @property
    def stems(self) -> list[str] | None:
        """File stems in order for a folder of images, else None."""
        return self._reader.stems

    @property
    def paths(self) -> list[Path]:
        """Every file the source reads; none for cameras and drawn scenes."""
        return self._reader.paths

    @property
    def reconnects(self) -> int | None:
        """How often a network camera was connected again, None for all else."""
        return self._reader.reconnects

    def only(self, stems: list[str]) -> Source[F]:
        """The same folder, just these stems, in this order."""
        return Source(self._reader.only(stems), self._start)

    def frames(self) -> Generator[F, None, None]:
        """Frames from the first on; raises UserError at the first that cannot be read."""
        running = self._frames()
        self._running.append(running)
        return running

    def _frames(self) -> Generator[F, None, None]:
        convert = self._start()
        raws = self._reader.frames()
        try:
            for raw in raws:
                yield convert(raw)
        finally:
            raws.close()

    def interrupt(self) -> None:
        """Make ``frames`` of a live source end soon; from any thread."""
        self._reader.interrupt()

    def before_close(self, end: Callable[[], None]) -> None:
        """Call ``end`` first when closing: it stops a thread that reads this source."""
        self._before_close.append(end)

    def close(self) -> None:
        """Close every file or camera still open; not while another thread reads."""
        while self._before_close:
            self._before_close.pop()()
        while self._running:
            self._running.pop().close()
        self._reader.close()

    def __enter__(self) -> Source[F]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_visible(uri: str) -> Source[VisibleFrame]:
    """Path or file:// URI of a video, an image or a folder of images -> visible frames.

    Also ``rtsp://``, ``v4l2:///dev/videoN``, ``csi://N`` and ``gst:PIPELINE`` cameras; a recording
    followed by ``?loop`` or ``?fps=N`` plays as one. ``synthetic://SCENE?...`` gives the visible
    camera of a drawn scene.
    """
    return Source(_open_reader(uri, "visible"), lambda: visible_frame)


def open_infrared(
    uri: str,
    options: InfraredOptions = InfraredOptions(),  # noqa: B008 - frozen
) -> Source[InfraredFrame]:
    """Path or file:// URI of a video, an image or a folder of images -> infrared frames.

    Cameras and drawn scenes as for ``open_visible``.
    """
    reader = _open_reader(uri, "infrared")
    return Source(reader, lambda: InfraredLevels(options).convert)


def local_path(uri: str) -> Path:
    """Path or file:// URI -> path; raises UserError for any other scheme."""
    if "://" not in uri:
        return Path(uri)
    parts = split_uri(uri)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise UserError(
            f"{uri} is not supported; give a path, file:///absolute/path, or for cameras rtsp://, "
            "v4l2:///dev/video0, csi://0, gst:PIPELINE"
        )
    return Path(unquote(parts.path))


def source_files(*uris: str) -> list[Path]:
    """The files that URIs name, none opened: what a run that reads them must not write.

    None for cameras, drawn scenes and what does not exist.
    """
    # With and without ?loop: a file may be named so all the same.
    names = (name for uri in uris for name in (uri, uri.rpartition("?")[0]) if name)
    return list(dict.fromkeys(path for name in names for path in _named_files(name)))


def _named_files(uri: str) -> list[Path]:
    try:
        path = local_path(uri)
        return list_images(path) if path.is_dir() else [path] * path.is_file()
    except (UserError, OSError):  # a camera, or a name no file can have
        return []


def _open_reader(uri: str, camera: Band) -> Reader:
    remember_secrets(uri)
    scheme = uri.partition(":")[0].lower()
    if is_rig(uri):
        from mgdn_edge.runtime.capture.cameras.synthetic_rig import SyntheticReader

        return _as_camera(uri, lambda plain: SyntheticReader(plain, camera))
    if scheme == "rtsp":
        from mgdn_edge.runtime.capture.cameras.rtsp import RtspReader

        return RtspReader(uri)
    if scheme == "v4l2":
        from mgdn_edge.runtime.capture.cameras.v4l2 import V4l2Reader

        return V4l2Reader(uri, camera)
    if scheme in ("csi", "gst"):
        from mgdn_edge.runtime.capture.cameras.gstreamer import GstreamerReader

        return GstreamerReader(uri)
    return _as_camera(uri, lambda plain: _open_file(plain, thermal=camera == "infrared"))


def _as_camera(uri: str, open_plain: Callable[[str], Reader]) -> Reader:
    """``?loop`` and ``?fps=`` make a camera of a recording; a file may be named so all the same."""
    plain, mark, query = uri.rpartition("?")
    words = query.split("&")
    ours = [word for word in words if word.partition("=")[0] in LOOP_OPTIONS]
    if not mark or not ours or (not is_rig(uri) and (len(ours) < len(words) or Path(uri).exists())):
        return open_plain(uri)
    if is_rig(uri):
        # A scene has an fps of its own; only loop makes it a camera.
        if "loop" not in ours:
            return open_plain(uri)
        ours = ["loop"]
        rest = "&".join(word for word in words if word != "loop")
        plain = f"{plain}?{rest}" if rest else plain
    options = parse_options(uri, "&".join(ours), LOOP_OPTIONS)
    return LoopReader(open_plain(plain), options.fps, loop=options.loop)


def _open_file(uri: str, *, thermal: bool) -> Reader:
    path = local_path(uri)
    try:
        if path.is_dir():
            return open_folder(path, thermal=thermal)
        if is_image(path):
            return ImageReader(str(path), [path], is_folder=False, thermal=thermal)
    except FileNotFoundError:
        raise UserError(f"{uri} does not exist; give a path or file:///absolute/path") from None
    except OSError as error:
        raise UserError(f"cannot read {uri} ({error.strerror}); check the path") from None
    return VideoReader(path)
