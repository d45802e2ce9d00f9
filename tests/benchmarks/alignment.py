"""How well alignment works: python tests/benchmarks/alignment.py [landmarks warp rig unrelated]

Prints one line a pair and a summary a set. ``landmarks``, ``warp`` and ``unrelated`` need the
shared images, ``rig`` draws its own. Nothing of these sets was used to choose a constant or to
fit the confidence (runtime/alignment/measure/automatic.py says what was).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cv2
import numpy as np

from mgdn_edge.runtime.alignment.measure.automatic import LEAST, Found, find_alignment
from mgdn_edge.runtime.alignment.measure.point_pairs import fit_points, read_points, transfer_errors
from mgdn_edge.runtime.synthetic import open_rig

SHARED = Path(os.environ.get("MGDN_SHARED", Path(__file__).resolve().parents[3] / "shared"))
DATA = SHARED / "data"
SIZES = ("640x480", "320x256", "256x192", "384x288", "160x120")
SCENES = ("night", "dusk", "day", "smoke")


def grey(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)


def tell(name: str, found: Found | None, error: float, more: str = "") -> bool:
    """Print one line; whether the alignment was accepted."""
    accepted = found is not None and found.evidence.confidence >= LEAST
    confidence = 0.0 if found is None else found.evidence.confidence
    said = 0.0 if found is None else found.error_px
    word = "aligned" if accepted else "refused"
    print(
        f"{name:34} {word} confidence {confidence:.3f} error {error:7.2f} said {said:6.2f} {more}"
    )
    sys.stdout.flush()
    return accepted


def summarise(
    name: str, errors: list[float], accepted: list[bool], limits: tuple[float, ...]
) -> None:
    kept = np.array(errors)[np.array(accepted, bool)]
    counts = ", ".join(f"{int((kept < limit).sum())} under {limit:g} px" for limit in limits)
    worst = f", worst {kept.max():.2f} px" if len(kept) else ""
    print(f"{name}: {len(errors)} pairs, {len(kept)} aligned, {counts}{worst}\n")


def landmarks() -> None:
    folder = DATA / "unregistered" / "vis_ir_landmarks"
    halves, errors, accepted = [], [], []
    for path in sorted((folder / "landmarks").iterdir()):
        visible, infrared = read_points(path)
        for first in (0, 1):
            fit = fit_points(visible[first::2], infrared[first::2])
            others = slice(1 - first, None, 2)
            halves.append(transfer_errors(fit.homography, visible[others], infrared[others]).mean())
        pair = (grey(folder / "vi" / f"{path.stem}.png"), grey(folder / "ir" / f"{path.stem}.png"))
        found = find_alignment([pair])
        matrix = np.eye(3) if found is None else found.homography
        errors.append(float(transfer_errors(matrix, visible, infrared).mean()))
        accepted.append(tell(f"landmarks {path.stem}", found, errors[-1]))
    print(f"points: half predicts the other half to {max(halves):.3f} px at worst")
    summarise("landmarks, automatic", errors, accepted, (3, 10))


def warp() -> None:
    folder = DATA / "unregistered" / "superfusion_warp"
    errors, accepted, halved = [], [], 0
    for path in sorted((folder / "vi").iterdir()):
        flow = np.load(folder / "flow" / f"{path.stem}.npz")["flow"].astype(float)
        height, width = flow.shape[:2]
        rows, columns = np.mgrid[:height, :width].astype(float)
        # The warped picture shows at a pixel what grid_sample read at ``flow`` (-1..1).
        truth = ((flow + 1) * (width, height) - 1) / 2
        inside = ((truth >= 0) & (truth < (width, height))).all(2)
        before = np.hypot(truth[..., 0] - columns, truth[..., 1] - rows)[inside].mean()
        found = find_alignment([(grey(path), grey(folder / "ir_warp" / f"{path.stem}.png"))])
        places = np.stack([columns, rows], -1).reshape(1, -1, 2)
        matrix = np.eye(3) if found is None else found.homography
        mapped = cv2.perspectiveTransform(places, matrix)[0].reshape(height, width, 2)
        errors.append(float(np.linalg.norm(mapped - truth, axis=2)[inside].mean()))
        accepted.append(tell(path.stem, found, errors[-1], f"before {before:.1f}"))
        halved += errors[-1] <= before / 2
    summarise(f"warp, {halved} at least halved", errors, accepted, (3, 5, 10))


def rig(count: int = 50) -> None:
    draw = np.random.default_rng(2026)
    errors, accepted, by_points = [], [], []
    for number in range(count):
        uri = (
            f"synthetic://{SCENES[number % 4]}?seed={500 + number}&frames=100&size=640x480"
            f"&ir_size={SIZES[draw.integers(5)]}&ir_fov={draw.uniform(35, 75):.2f}"
            f"&yaw={draw.uniform(-5, 5):.2f}&pitch={draw.uniform(-3, 3):.2f}"
            f"&roll={draw.uniform(-5, 5):.2f}"
        )
        scene = open_rig(uri)
        frames = [
            (scene.visible(at).y, np.asarray(scene.infrared(at).plane, np.uint8)) for at in (0, 80)
        ]
        truth = scene.infrared_camera.homography_to(scene.visible_camera)
        height, width = frames[0][1].shape
        rows, columns = np.mgrid[0 : height - 1 : 9j, 0 : width - 1 : 9j]
        places = np.stack([columns, rows], -1).reshape(-1, 2)
        wanted = cv2.perspectiveTransform(places[None], truth)[0]
        seen = ((wanted >= 0) & (wanted < (640, 480))).all(1)
        # Ten clicks good to half a pixel in each picture.
        clicked = draw.permutation(np.flatnonzero(seen))[:10]
        noisy = [each[clicked] + draw.normal(0, 0.5, (10, 2)) for each in (wanted, places)]
        fit = fit_points(*noisy)
        by_points.append(transfer_errors(fit.homography, wanted[seen], places[seen]).mean())
        found = find_alignment(frames)
        matrix = np.eye(3) if found is None else found.homography
        errors.append(float(transfer_errors(matrix, wanted[seen], places[seen]).mean()))
        accepted.append(tell(uri.split("://")[1].split("&frames")[0], found, errors[-1]))
    exact = fit_points(wanted[clicked], places[clicked])
    print(f"exact points: {transfer_errors(exact.homography, wanted, places).mean():.4f} px")
    clicks = np.array(by_points)
    print(f"clicks off by 0.5 px: mean {clicks.mean():.2f} px, worst {clicks.max():.2f} px")
    summarise("rig, automatic", errors, accepted, (1, 2, 10))


def unrelated() -> None:
    folder = DATA / "unregistered" / "vis_ir_landmarks"
    stems = [path.stem for path in sorted((folder / "vi").iterdir())]
    accepted = []
    for index, stem in enumerate(stems):
        for other in (stems[index - 3], stems[index - 5]):
            pair = (grey(folder / "vi" / f"{stem}.png"), grey(folder / "ir" / f"{other}.png"))
            accepted.append(tell(f"{stem} with {other}", find_alignment([pair]), np.nan))
    sequences = sorted((DATA / "sequences").glob("*/vi"))
    for here in sequences:
        for there in sequences:
            if here == there:
                continue
            visible, infrared = (
                sorted(each.iterdir())[0] for each in (here, there.with_name("ir"))
            )
            found = find_alignment([(grey(visible), grey(infrared))])
            accepted.append(tell(f"{here.parent.name} with {there.parent.name}", found, np.nan))
    print(f"unrelated: {len(accepted)} pairs, {sum(accepted)} aligned\n")


SETS = {"landmarks": landmarks, "warp": warp, "unrelated": unrelated, "rig": rig}

if __name__ == "__main__":
    for name in sys.argv[1:] or SETS:
        SETS[name]()
