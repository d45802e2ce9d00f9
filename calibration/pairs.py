"""Calibration pairs: what an argument names, read as the runtime reads it, spread over conditions.

    day/                       with vi/ and ir/ (folders of images) or vi.* and ir.* (clips, images)
    vi.mp4,ir.mp4              the visible and the infrared recording themselves
    data#roadscene:train       the rows of one set and split of data/manifest.csv; data#roadscene
                               takes every split, data#:val one split of every set

``vi`` is also spelled ``vis`` or ``visible`` and ``ir`` ``infrared``. The network's frame graph
takes the planes as they are, so nothing is preprocessed here.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mgdn_edge.runtime.bundle.ranges import PairDigest
from mgdn_edge.runtime.capture.sources import open_infrared, open_visible
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.by_order import OrderedPairs
from mgdn_edge.runtime.picture.frame import Plane

MANIFEST = "manifest.csv"
VISIBLE_NAMES = ("vi", "vis", "visible")
INFRARED_NAMES = ("ir", "infrared")


class Recording(NamedTuple):
    """Two recordings of one view and what to call them."""

    name: str
    visible: str
    infrared: str


class FramePair(NamedTuple):
    """(H, W) uint8 visible luma and (H, W) uint8 infrared of one size."""

    name: str
    visible: Plane
    infrared: Plane


def list_recordings(text: str) -> list[Recording]:
    """One argument of the forms above -> its recordings; UserError for anything else."""
    folder, hash_sign, rows = text.partition("#")
    path = Path(folder)
    if hash_sign:
        return _read_manifest(path, rows, text)
    if (path / MANIFEST).is_file():
        raise UserError(
            f"{text} holds a {MANIFEST} of several sets; say which to take: {text}#SET:SPLIT, "
            f"such as {text}#roadscene:train"
        )
    if path.is_dir():
        streams = [_find_stream(path, names) for names in (VISIBLE_NAMES, INFRARED_NAMES)]
        return [Recording(path.resolve().name, *map(str, streams))]
    if text.count(",") == 1:
        visible, infrared = (part.strip() for part in text.split(","))
        if _names(visible) & {*INFRARED_NAMES} and _names(infrared) & {*VISIBLE_NAMES}:
            raise UserError(
                f"{visible} is called infrared and {infrared} visible; the visible recording "
                f"comes first: {infrared},{visible}"
            )
        return [Recording(Path(visible).stem or visible, visible, infrared)]
    state = "is a file" if path.exists() else "does not exist"
    raise UserError(
        f"{text} {state}; give a folder with vi and ir, two paths joined with a comma, such as "
        f"vi.mp4,ir.mp4, or FOLDER#SET:SPLIT for rows of FOLDER/{MANIFEST}"
    )


def read_pairs(recordings: Sequence[Recording]) -> Iterator[FramePair]:
    """Every pair of every recording, in order; planes are copies. Raises UserError."""
    for recording in recordings:
        with (
            open_visible(recording.visible) as visible,
            open_infrared(recording.infrared) as infrared,
        ):
            pairs = OrderedPairs(visible, infrared)
            with closing(pairs.read()) as running:
                for number, pair in enumerate(running):
                    name = recording.name
                    if pairs.count > 1:
                        name = f"{name}/{pair.visible.stem or f'{number:06d}'}"
                    plane = pair.infrared.plane.astype(np.uint8)
                    yield FramePair(name, pair.visible.y.copy(), plane)


def digest_pair(pair: FramePair) -> PairDigest:
    """A pair -> its name and the digests of its planes."""
    return PairDigest(pair.name, _digest(pair.visible), _digest(pair.infrared))


def _names(uri: str) -> set[str]:
    """What a recording is called: its stem and its folder's name, in small letters."""
    path = Path(uri)
    return {path.stem.lower(), path.parent.name.lower()}


def _digest(plane: Plane) -> str:
    shape = f"{plane.shape[0]} {plane.shape[1]} ".encode()
    return hashlib.sha256(shape + np.ascontiguousarray(plane).tobytes()).hexdigest()


def _find_stream(folder: Path, names: tuple[str, ...]) -> Path:
    found = sorted(
        path
        for path in folder.iterdir()
        if (path.name if path.is_dir() else path.stem).lower() in names
    )
    if len(found) != 1:
        what = f"both {found[0].name} and {found[1].name}" if found else f"no {names[0]}"
        raise UserError(
            f"{folder} holds {what}; one folder or file named {' or '.join(names)} is needed; "
            "or join two paths with a comma, such as vi.mp4,ir.mp4"
        )
    return found[0]


def _read_manifest(root: Path, rows: str, text: str) -> list[Recording]:
    dataset, _, split = rows.partition(":")
    manifest = root / MANIFEST
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            table = list(csv.DictReader(file))
    except OSError as error:
        raise UserError(
            f"cannot read {manifest} ({error.strerror}), which {text} needs; it has the columns "
            "dataset,name,ir,vi,split"
        ) from error
    lacking = {"dataset", "name", "ir", "vi", "split"} - set(table[0] if table else ())
    if lacking:
        raise UserError(f"{manifest} lacks the columns {', '.join(sorted(lacking))}")
    chosen = [
        row for row in table if dataset in ("", row["dataset"]) and split in ("", row["split"])
    ]
    if not chosen:
        sets = sorted({f"{row['dataset']}:{row['split']}" for row in table})
        raise UserError(f"{manifest} has no rows for {rows}; it has: {', '.join(sets)}")
    return [
        Recording(f"{row['dataset']}/{row['name']}", str(root / row["vi"]), str(root / row["ir"]))
        for row in chosen
        if row["vi"] and row["ir"]
    ]
