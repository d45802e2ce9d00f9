"""fuse: a stream with its page and trace, as the command runs it, from one line of a test."""

from pathlib import Path

from mgdn_edge.runtime.report.side_files import SideFiles
from mgdn_edge.runtime.stream.fuse_files import fuse_files
from mgdn_edge.runtime.stream.request import FuseRequest
from mgdn_edge.runtime.stream.result import Summary
from mgdn_edge.runtime.whole_file import Outputs, Overwrite

CALLBACKS = ("stop", "on_start", "on_frame", "tell")


def fuse(
    visible: str | Path,
    infrared: str | Path,
    output: str | Path,
    *,
    report: Path | None = None,
    trace: Path | None = None,
    command: str = "",
    overwrite: Overwrite = False,
    **options: object,
) -> Summary:
    """``options`` are FuseRequest's, and what fuse_files calls back."""
    outputs = Outputs((), overwrite)
    beside = SideFiles.claim(outputs, report, trace)
    called = {name: options.pop(name) for name in CALLBACKS if name in options}
    request = FuseRequest(
        str(visible), str(infrared), str(output), keep_pictures=report is not None, **options
    )
    result = fuse_files(request, outputs=outputs, **called)
    beside.write(result, command)
    return result.summary
