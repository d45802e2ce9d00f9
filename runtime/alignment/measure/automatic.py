"""Automatic alignment from what both cameras happen to see, or an honest refusal.

1. Coarse candidates over zoom, turn and shift (coarse_search.py), refined a little (refine.py) and
   ranked by their correlation.
2. The best is refined at two resolutions.
3. Four observations say whether to believe it (``Evidence``); a logistic model fitted on pairs
   with known truth and on unrelated pairs turns them into a confidence. Below ``LEAST`` nothing
   is written.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.alignment.apply.rig_file import Matrix
from mgdn_edge.runtime.alignment.measure.coarse_search import (
    CoarsePlacement,
    Images,
    corner_distance,
    search_candidates,
)
from mgdn_edge.runtime.alignment.measure.edge_directions import direction_field, real_part_mask
from mgdn_edge.runtime.alignment.measure.refine import Answer, Level, answer_votes
from mgdn_edge.runtime.errors import UserError

COARSE_FRAMES = 3  # each costs a second; more frames vote in the refinement
CANDIDATES = 10  # the right one was among the first ten for 47 of 50 warped pairs
COARSE_WIDTH, FINE_WIDTH = 224, 448  # pixels of the longer visible side
STRICT = 2.0  # pixels of a level within which parts agree in the end
WIDE, NEAR = 24, 3.0  # pixels: how far parts look when asked afresh, and what counts as agreeing
DISTINCT = 1 / 16  # of the visible width between alignments that are not the same
FEWEST_PARTS = 10
LEAST_EDGES = 1e-4  # a flat or black picture; any photograph has over 0.05
LEAST_RIVAL = 0.35  # of the best correlation: lower rivals prove nothing more
# Both halves share the fields' own bias: on drawn scenes with exact truth 0.05 to 0.15 % of the
# width remained where they agreed entirely.
FLOOR = 0.001

# Logistic regression, ridge 1, on 47 right alignments and 88 wrong ones: 50 random warps of
# RoadScene training pairs, TNO, VIFB, MSRS, M3FD and LLVIP, and 85 unrelated pairs of these sets.
# Left out of the fit one by one, no wrong one exceeded 0.5 and 87 % of the right ones exceeded
# 0.8. What it does on pairs it has not seen: tests/benchmarks/alignment.py.
WEIGHTS = {"agreement": 7.4, "inliers": 4.4, "lead": 3.3, "halves": 0.7}
BIAS = -5.3
LEAST = 0.85


@dataclass(frozen=True)
class Evidence:
    """What speaks for an alignment.

    ``agreement``: share of parts that, looking far around, find their place within 3 pixels of
    it. ``inliers``: mean weight of parts in the last fit. ``lead``: correlation over that of the
    best alignment elsewhere. ``halves``: distance between the fits of two halves of the parts,
    as a share of the visible width. ``parts``: how many there are.
    """

    agreement: float
    inliers: float
    lead: float
    halves: float
    parts: int

    @property
    def confidence(self) -> float:
        """Probability, 0..1, that the alignment is right."""
        if self.parts < FEWEST_PARTS:
            return 0.0
        # The fit saw halves from 0.1 to 10 % of the width.
        total = (
            BIAS
            + WEIGHTS["agreement"] * self.agreement
            + WEIGHTS["inliers"] * self.inliers
            + WEIGHTS["lead"] * float(np.log(self.lead))
            - WEIGHTS["halves"] * float(np.log(np.clip(100 * self.halves, 0.1, 10)))
        )
        return float(1 / (1 + np.exp(-total)))


@dataclass(frozen=True)
class Found:
    """Infrared -> visible pixels, the expected misalignment in visible pixels, the evidence."""

    homography: Matrix
    error_px: float
    evidence: Evidence


def align_frames(frames: Images) -> Found:
    """Pairs of (H, W) visible and (h, w) infrared uint8 of one size each -> Found.

    Raises UserError "not aligned: ..." where the evidence does not suffice.
    """
    found = find_alignment(frames)
    if found is None:
        raise UserError(
            "not aligned: the pictures show too few edges in common to compare; film a scene "
            f"with edges all over the picture, {OR_POINTS}"
        )
    evidence = found.evidence
    if evidence.confidence < LEAST:
        raise UserError(
            f"not aligned: {round(evidence.agreement * evidence.parts)} of {evidence.parts} parts "
            f"of the picture agree where infrared lies (confidence {evidence.confidence:.2f}, "
            f"needed {LEAST}); check that both show the same scene at the same time, give a "
            f"longer clip with more structure, {OR_POINTS}"
        )
    return found


OR_POINTS = "or give points yourself: --points FILE or --click"


def find_alignment(frames: Images) -> Found | None:
    """The best alignment, believed or not; None where there is nothing to compare."""
    some = [frames[i] for i in _spread(len(frames), COARSE_FRAMES)]
    if any(field_strength(picture) < LEAST_EDGES for picture in frames[0]):
        return None
    coarse = Level(some, COARSE_WIDTH)
    ranked = _rank(coarse, search_candidates(some, CANDIDATES))
    if not ranked:
        return None
    visible, infrared = frames[0]
    (best_score, homography), *others = ranked
    apart = DISTINCT * visible.shape[1]
    rival = next(
        (score for score, other in others if corner_distance(other, homography, infrared) > apart),
        best_score * LEAST_RIVAL,
    )
    # All frames vote from here on.
    level = coarse if len(some) == len(frames) else Level(frames, COARSE_WIDTH)
    fine = Level(frames, FINE_WIDTH)
    for step, radius in ((level, 5), (fine, 8), (fine, 5)):
        answer = fit_once(step, homography, radius)
        if answer is None:
            return None
        homography = answer.homography
    halves = split_halves(fine, homography)
    last = answer_votes(fine, homography, fine.votes(homography, 8), STRICT)
    wide = level.votes(homography, WIDE)
    if halves is None or last is None or not len(wide.centres):
        return None
    evidence = Evidence(
        agreement=float((np.linalg.norm(wide.shifts, axis=1) < NEAR).mean()),
        inliers=float(last.weights.mean()),
        lead=best_score / max(rival, best_score * LEAST_RIVAL, 1e-6),
        halves=corner_distance(*halves, infrared) / visible.shape[1],
        parts=len(wide.centres),
    )
    error = (evidence.halves + FLOOR) * visible.shape[1]
    return Found(homography, error, evidence)


def field_strength(picture: npt.NDArray[np.uint8]) -> float:
    """Mean length, 0..1, of the direction field of a picture as it is."""
    mask = real_part_mask(picture)
    field = direction_field(picture.astype(np.float32), mask)
    return float(np.sqrt((field**2).sum(2)).mean())


def _rank(level: Level, candidates: list[CoarsePlacement]) -> list[tuple[float, Matrix]]:
    ranked = []
    for candidate in candidates:
        homography = candidate.homography
        answer = None
        for radius in (12, 6):
            answer = fit_once(level, homography, radius)
            if answer is None:
                break
            homography = answer.homography
        if answer is not None:
            ranked.append((level.score(homography), homography))
    return sorted(ranked, key=lambda each: -each[0])


def fit_once(level: Level, homography: Matrix, radius: int) -> Answer | None:
    """Let parts vote around ``homography`` and answer them; None with too few parts."""
    votes = level.votes(homography, radius)
    answer = answer_votes(level, homography, votes, max(STRICT, radius / 4))
    return answer if answer is not None and _is_sane(answer.homography) else None


def split_halves(level: Level, homography: Matrix) -> tuple[Matrix, Matrix] | None:
    """The fits of two halves of the parts, taken from the picture like a checkerboard."""
    votes = level.votes(homography, 8)
    square = max(level.size) / 6
    colour = np.round(votes.centres / square).astype(int).sum(1) % 2
    fits = [
        answer_votes(level, homography, votes, STRICT, np.asarray(colour == half))
        for half in (0, 1)
    ]
    if fits[0] is None or fits[1] is None:
        return None
    return fits[0].homography, fits[1].homography


def _is_sane(homography: Matrix) -> bool:
    turn = homography[:2, :2]
    return bool(np.isfinite(homography).all() and cv2.determinant(turn) > 1e-6)


def _spread(count: int, most: int) -> list[int]:
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))})
