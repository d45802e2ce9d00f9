"""mgdn cameras: what is plugged in, and the command that uses it."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add ``mgdn cameras``."""
    app.command("cameras")(cameras_command)


def cameras_command(
    json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False,
) -> None:
    """List cameras and print the command that fuses two of them."""
    import msgspec

    from mgdn_edge.runtime.capture.cameras.list_cameras import fuse_command_for, list_cameras
    from mgdn_edge.runtime.secrets.redaction import redact

    found = list_cameras()
    if json:
        print(msgspec.json.encode(found).decode())
        return
    for camera in found:
        text = " ".join(camera.formats or ()) or camera.problem
        print(redact(f"{camera.uri}  {camera.kind}  {camera.name}  {text}".rstrip()))
    if not found:
        print("no camera found here; network cameras are used by their address: rtsp://HOST/PATH")
    print(fuse_command_for(found))
