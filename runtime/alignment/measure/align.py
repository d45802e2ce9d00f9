"""align_cameras: two recordings and a way to measure in, a rig file and its overlay out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from mgdn_edge.runtime.alignment.apply.choose_view import choose_view, covered_share
from mgdn_edge.runtime.alignment.apply.rig_file import (
    SCHEMA,
    AlignmentMethod,
    Area,
    CameraModel,
    CameraRig,
    Matrix,
    PlaneHomography,
    Quality,
    find_fault,
    read_rig,
)
from mgdn_edge.runtime.alignment.apply.rig_text import rig_text
from mgdn_edge.runtime.alignment.measure.alignment_pairs import AlignmentPair, read_alignment_pairs
from mgdn_edge.runtime.alignment.measure.measured_geometry import MeasuredGeometry, homography_rows
from mgdn_edge.runtime.alignment.measure.overlay import encode_overlay
from mgdn_edge.runtime.alignment.measure.point_pairs import fit_points, read_points
from mgdn_edge.runtime.capture.sources import InfraredOptions, source_files
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.picture.frame import Size
from mgdn_edge.runtime.whole_file import Outputs, Overwrite, RunFile, beside


class RigRequest(msgspec.Struct, frozen=True):
    """What the rig is for: area, size of the fused picture, distance in metres.

    ``add`` keeps the rig there is and adds the homography of this distance.
    """

    area: Area = "fill"
    working_size: Size | None = None
    distance_m: float | None = None
    add: bool = False

    def __post_init__(self) -> None:
        if self.distance_m is not None and not 0 < self.distance_m < np.inf:
            raise UserError(f"--distance {self.distance_m:g} is not a distance; metres above 0")
        if self.add and self.distance_m is None:
            raise UserError("--add adds a homography for another distance; say --distance METRES")


class AlignReport(msgspec.Struct, frozen=True):
    """What ``mgdn align`` wrote and how good it is believed to be."""

    schema: str
    rig: str
    overlay: str
    method: AlignmentMethod
    working_width_height: tuple[int, int] = msgspec.field(name="working_size")
    view: tuple[int, int, int, int]
    error_px: float
    error_from: str
    evidence: int
    confidence: float | None
    coverage: float
    notes: list[str]


DEFAULT_FRAMES = 8
TARGET_FRAMES = 40
REPORT_SCHEMA = "mgdn.align/1"


def align_by_points(
    visible: str,
    infrared: str,
    output: Path,
    points: Path,
    *,
    request: RigRequest = RigRequest(),  # noqa: B008 - frozen
    infrared_options: InfraredOptions = InfraredOptions(),  # noqa: B008 - frozen
    overwrite: Overwrite = False,
) -> AlignReport:
    """Recordings, rig file to write, file of point pairs -> what was written."""
    files = RigFiles(output, [*source_files(visible, infrared), points], request, overwrite)
    pairs = read_alignment_pairs(visible, infrared, infrared_options, 1)
    return finish(files, pairs, measure_points(*read_points(points)), request)


def align_by_scene(
    visible: str,
    infrared: str,
    output: Path,
    *,
    frames: int = DEFAULT_FRAMES,
    request: RigRequest = RigRequest(),  # noqa: B008 - frozen
    infrared_options: InfraredOptions = InfraredOptions(),  # noqa: B008 - frozen
    progress: Progress = SILENT,
    overwrite: Overwrite = False,
) -> AlignReport:
    """Recordings of any scene, rig file to write -> what was written.

    Raises UserError "not aligned: ..." where the
    scene does not prove an alignment.
    """
    files = RigFiles(output, source_files(visible, infrared), request, overwrite)
    progress.begin("comparing the two pictures")
    pairs = read_alignment_pairs(visible, infrared, infrared_options, frames)
    return finish(files, pairs, measure_scene(pairs), request)


def align_by_target(
    visible: str,
    infrared: str,
    output: Path,
    target: str,
    *,
    frames: int = TARGET_FRAMES,
    request: RigRequest = RigRequest(),  # noqa: B008 - frozen
    infrared_options: InfraredOptions = InfraredOptions(),  # noqa: B008 - frozen
    progress: Progress = SILENT,
    overwrite: Overwrite = False,
) -> AlignReport:
    """Recordings of a board or circles both cameras see, rig file to write -> what was written."""
    from mgdn_edge.runtime.alignment.measure.target import measure_target, parse_target

    parsed = parse_target(target)
    files = RigFiles(output, source_files(visible, infrared), request, overwrite)
    progress.begin("looking for the target")
    pairs = read_alignment_pairs(visible, infrared, infrared_options, frames)
    return finish(files, pairs, measure_target(pairs, parsed), request)


def measure_scene(pairs: list[AlignmentPair]) -> MeasuredGeometry:
    """Frames over time -> MeasuredGeometry; raises UserError "not aligned: ..."."""
    from mgdn_edge.runtime.alignment.measure.automatic import align_frames

    found = align_frames([(pair.visible.y, pair.infrared) for pair in pairs])
    evidence = found.evidence
    return MeasuredGeometry(
        method="automatic",
        homography=homography_rows(found.homography),
        error_px=found.error_px,
        error_from=f"two halves of {evidence.parts} picture parts in {len(pairs)} frames",
        evidence=round(evidence.agreement * evidence.parts),
        confidence=round(evidence.confidence, 3),
    )


def measure_points(visible: Matrix, infrared: Matrix) -> MeasuredGeometry:
    """(N, 2) visible, (N, 2) infrared pixels -> MeasuredGeometry; raises UserError."""
    fit = fit_points(visible, infrared)
    notes = [
        f"point {index + 1} does not fit the others and was left out" for index in fit.outliers
    ]
    return MeasuredGeometry(
        method="points",
        homography=homography_rows(fit.homography),
        error_px=fit.error_px,
        error_from=f"{fit.used} points, each predicted by the others ({fit.model})",
        evidence=fit.used,
        notes=notes,
    )


class RigFiles:
    """RIG.toml, the overlay RIG.png beside it and, with ``clicks``, the points RIG.csv."""

    def __init__(
        self,
        output: Path,
        inputs: Sequence[Path],
        request: RigRequest,
        overwrite: Overwrite,
        *,
        clicks: bool = False,
    ) -> None:
        """Claim them; UserError where one cannot be written, or there is no rig to add to."""
        outputs = Outputs(inputs, overwrite)
        # The picture of the rig that is added to was made with it; the points are a person's work.
        self.rig = RunFile(outputs.claim(output, "RIG", ".toml", updates=request.add))
        self.overlay = RunFile(outputs.claim(output.with_suffix(".png"), "RIG", ours=request.add))
        self.points: RunFile | None = None
        if clicks:
            self.points = RunFile(outputs.claim(output.with_suffix(".csv"), "RIG"))
        if request.add:
            read_rig(output)


def finish(
    files: RigFiles, pairs: list[AlignmentPair], measured: MeasuredGeometry, request: RigRequest
) -> AlignReport:
    """Choose the view, write the rig and its overlay, report."""
    rig = make_rig(measured, pairs[0], request)
    output, overlay = files.rig.output.path, files.overlay.output.path
    if request.add:
        rig = with_plane(read_rig(output), rig)
    picture = encode_overlay(rig, pairs[0])  # what may fail comes before either file
    files.rig.write(rig_text(rig).encode())
    with beside(output):
        files.overlay.write(picture)
    return AlignReport(
        schema=REPORT_SCHEMA,
        rig=str(output),
        overlay=str(overlay),
        method=rig.method,
        working_width_height=rig.working_width_height,
        view=rig.view,
        error_px=rig.quality.error_px,
        error_from=rig.quality.error_from,
        evidence=rig.quality.evidence,
        confidence=rig.quality.confidence,
        coverage=rig.quality.coverage,
        notes=measured.notes,
    )


def with_plane(rig: CameraRig, new: CameraRig) -> CameraRig:
    """``rig`` with the plane of ``new``, instead of its own for that distance."""
    if (rig.visible.size, rig.infrared.size) != (new.visible.size, new.infrared.size):
        raise UserError(
            "--add needs a rig of these cameras; this one is for pictures of other sizes"
        )
    if rig.pose is not None:
        raise UserError("this rig has a pose, which serves every distance; leave --add out")
    (plane,) = new.plane
    kept = tuple(each for each in rig.plane if each.distance_m != plane.distance_m)
    return msgspec.structs.replace(rig, plane=(*kept, plane))


def make_rig(measured: MeasuredGeometry, pair: AlignmentPair, request: RigRequest) -> CameraRig:
    """A measurement of cameras that take frames like ``pair`` -> the rig; raises UserError."""
    (height, width), (infrared_height, infrared_width) = pair.visible.y.shape, pair.infrared.shape
    visible_size, infrared_size = (height, width), (infrared_height, infrared_width)
    homography = np.array(measured.homography)
    view, working = choose_view(
        homography, visible_size, infrared_size, request.area, request.working_size
    )
    coverage = covered_share(homography, view, infrared_size)
    rig = CameraRig(
        schema=SCHEMA,
        method=measured.method,
        area=request.area,
        working_width_height=working[::-1],
        view=view,
        visible=measured.visible or CameraModel(visible_size[::-1]),
        infrared=measured.infrared or CameraModel(infrared_size[::-1]),
        plane=(PlaneHomography(measured.homography, request.distance_m),),
        pose=measured.pose,
        quality=Quality(
            error_px=round(measured.error_px, 3),
            error_from=measured.error_from,
            evidence=measured.evidence,
            coverage=round(coverage, 4),
            confidence=measured.confidence,
        ),
    )
    wrong = find_fault(rig)
    if wrong is None and coverage == 0:
        wrong = "the infrared picture lies outside the visible one"
    if wrong is not None:
        raise UserError(f"not aligned: {wrong}; give more or better point pairs: --points FILE")
    return rig
