"""A local page to click point pairs on: both pictures beside each other, a fit after each pair.

The server listens on this machine only, under a path that cannot be guessed, until the rig is saved
or Ctrl-C. What is served is one page with everything inside it.
"""

from __future__ import annotations

import base64
import json
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import msgspec
import numpy as np

from mgdn_edge.runtime.alignment.measure.align import (
    AlignReport,
    RigFiles,
    RigRequest,
    finish,
    make_rig,
    measure_points,
)
from mgdn_edge.runtime.alignment.measure.alignment_pairs import AlignmentPair, read_alignment_pairs
from mgdn_edge.runtime.alignment.measure.overlay import draw_overlay
from mgdn_edge.runtime.alignment.measure.point_pairs import COLUMNS
from mgdn_edge.runtime.capture.sources import InfraredOptions, source_files
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.extras import require_extra
from mgdn_edge.runtime.picture.colour import Pixels, bgr_from_planes, place_chroma
from mgdn_edge.runtime.whole_file import Overwrite, beside

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

TEMPLATE = Path(__file__).parent / "templates" / "click.html"
MOST_BYTES = 100_000  # of a request: a thousand points
MOST_POINTS = 1000

PointPair = tuple[float, float, float, float]


class ClickSession:
    """One pair, the points clicked so far, and the rig once it is saved.

    ``failure`` is why the rig was saved without its overlay or points.
    """

    def __init__(self, pair: AlignmentPair, files: RigFiles, request: RigRequest) -> None:
        self._pair, self._files, self._request = pair, files, request
        self.report: AlignReport | None = None
        self.failure: UserError | None = None
        self.on_saved: Callable[[], None] = lambda: None

    def page(self) -> str:
        """The page, pictures inside."""
        values = {
            "visible": _data_url(_colour(self._pair)),
            "infrared": _data_url(self._pair.infrared),
        }
        page = TEMPLATE.read_text("utf-8")
        # In a script element "</" would end it; base64 and numbers hold none.
        return page.replace("/*PICTURES*/", json.dumps(values))

    def fit(self, points: list[PointPair]) -> dict[str, Any]:
        """Points -> homography, error, outliers, overlay; raises UserError."""
        visible, infrared = _columns(points)
        measured = measure_points(visible, infrared)
        rig = make_rig(measured, self._pair, self._request)
        return {
            "homography": measured.homography,
            "error_px": round(measured.error_px, 2),
            "error_from": measured.error_from,
            "notes": measured.notes,
            "coverage": rig.quality.coverage,
            "overlay": _data_url(draw_overlay(rig, self._pair)),
        }

    def save(self, points: list[PointPair]) -> AlignReport:
        """Write the rig, its overlay and the points beside it; raises UserError."""
        try:
            self.report = self._save(points)
        except UserError as error:
            self.failure = error if self._files.rig.written else None
            raise
        self.failure = None
        return self.report

    def _save(self, points: list[PointPair]) -> AlignReport:
        visible, infrared = _columns(points)
        measured = measure_points(visible, infrared)
        report = finish(self._files, [self._pair], measured, self._request)
        lines = [",".join(COLUMNS), *(",".join(f"{v:.2f}" for v in point) for point in points)]
        assert self._files.points is not None
        with beside(self._files.rig.output.path):
            self._files.points.write(("\n".join(lines) + "\n").encode())
        return report


def build_click_app(session: ClickSession, path: str) -> Starlette:
    """The application of one session, everything under ``/path``."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import HTMLResponse, JSONResponse
    from starlette.routing import Route

    async def page(request: Request) -> Response:
        return HTMLResponse(session.page())

    def answering(work: Callable[[list[PointPair]], Any], *, last: bool) -> Any:  # noqa: ANN401
        async def answer(request: Request) -> Response:
            body = b""
            async for part in request.stream():
                body += part
                if len(body) > MOST_BYTES:
                    return JSONResponse({"error": "too many points"}, 413)
            try:
                points = msgspec.json.decode(body, type=list[PointPair])[:MOST_POINTS]
                done = await run_in_threadpool(work, points)
            except (msgspec.DecodeError, UserError) as error:
                return JSONResponse({"error": str(error)}, 422)
            if last:
                session.on_saved()
            return JSONResponse(msgspec.to_builtins(done))

        return answer

    return Starlette(
        routes=[
            Route(f"/{path}/", page),
            Route(f"/{path}/fit", answering(session.fit, last=False), methods=["POST"]),
            Route(f"/{path}/save", answering(session.save, last=True), methods=["POST"]),
        ]
    )


def align_by_clicks(
    visible: str,
    infrared: str,
    output: Path,
    *,
    request: RigRequest = RigRequest(),  # noqa: B008 - frozen
    infrared_options: InfraredOptions = InfraredOptions(),  # noqa: B008 - frozen
    port: int = 0,
    on_ready: Callable[[str], None] = lambda url: None,
    overwrite: Overwrite = False,
) -> AlignReport:
    """Serve the page until the rig is saved; ``on_ready`` gets its address.

    Raises UserError where the page was left without saving everything.
    """
    require_extra("page")
    import uvicorn

    files = RigFiles(output, source_files(visible, infrared), request, overwrite, clicks=True)
    session = ClickSession(
        read_alignment_pairs(visible, infrared, infrared_options, 1)[0], files, request
    )
    path = secrets.token_urlsafe(12)
    config = uvicorn.Config(build_click_app(session, path), log_level="warning", lifespan="off")
    server = uvicorn.Server(config)

    def stop() -> None:
        server.should_exit = True

    session.on_saved = stop
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(
                f"cannot use port {port} ({error.strerror}); give another --port"
            ) from None
        on_ready(f"http://127.0.0.1:{listener.getsockname()[1]}/{path}/")
        server.run(sockets=[listener])
    if session.failure is not None:
        raise session.failure
    if session.report is None:
        raise UserError("the page was closed before a rig was saved; nothing was written")
    return session.report


def _columns(points: list[PointPair]) -> tuple[Any, Any]:
    values = np.array(points, np.float64).reshape(-1, 4)
    if not np.isfinite(values).all():
        raise UserError("a point is not a number; click it again")
    return values[:, :2], values[:, 2:]


def _colour(pair: AlignmentPair) -> Pixels:
    visible = pair.visible
    planes = np.empty((*visible.y.shape, 3), np.uint8)
    planes[:, :, 0] = visible.y
    place_chroma(planes, visible)
    return bgr_from_planes(planes, visible.tags)


def _data_url(picture: Pixels) -> str:
    data = cv2.imencode(".png", picture)[1].tobytes()
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"
