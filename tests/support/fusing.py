"""fuse: a stream with its page and trace, as the command runs it, from one line of a test."""

import threading
from collections.abc import Callable
from pathlib import Path

from mgdn_edge.runtime.report.side_files import SideFiles
from mgdn_edge.runtime.stream.fuse_files import fuse_files
from mgdn_edge.runtime.stream.request import FuseRequest
from mgdn_edge.runtime.stream.result import Summary
from mgdn_edge.runtime.whole_file import Outputs, Overwrite
from support.progress import Told


def fuse(
    visible: str | Path,
    infrared: str | Path,
    output: str | Path,
    *,
    report: Path | None = None,
    trace: Path | None = None,
    command: str = "",
    overwrite: Overwrite = False,
    stop: threading.Event | None = None,
    on_frame: Callable[[], None] = lambda: None,
    said: list[str] | None = None,
    **options: object,
) -> Summary:
    """``options`` are FuseRequest's; ``on_frame`` is called after each frame."""
    outputs = Outputs((), overwrite)
    beside = SideFiles.claim(outputs, report, trace)
    request = FuseRequest(
        str(visible), str(infrared), str(output), keep_pictures=report is not None, **options
    )
    result = fuse_files(request, outputs=outputs, stop=stop, progress=Told(on_frame, said=said))
    beside.write(result, command)
    return result.summary
