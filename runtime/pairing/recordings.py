"""What an argument of data names: recordings of one view in pairs, for whatever learns or judges.

    day/                    with vi/ and ir/ (folders of images), or vi.* and ir.* (clips, images)
    vi.mp4,ir.mp4           the visible and the infrared recording themselves
    data/                   with manifest.csv: its rows of the split that is wanted, which is train
                            to learn or calibrate on and val to judge on
    data#roadscene:train    the rows of one set and split of data/manifest.csv; data#roadscene takes
                            every split, data#:val one split of every set

``vi`` is also spelled ``vis`` or ``visible`` and ``ir`` ``infrared``, in any case.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from mgdn_edge.runtime.capture.sources import open_infrared, open_visible, source_files
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.by_order import OrderedPairs
from mgdn_edge.runtime.picture.frame import Plane

Split = Literal["train", "val"]

MANIFEST = "manifest.csv"
MANIFEST_COLUMNS = ("dataset", "name", "ir", "vi", "split")
VISIBLE_NAMES = ("vi", "vis", "visible")
INFRARED_NAMES = ("ir", "infrared")
FORMS = (
    "give a folder with vi and ir, two paths joined with a comma, such as vi.mp4,ir.mp4, a folder "
    f"with {MANIFEST}, or FOLDER#SET:SPLIT for some of its rows"
)


class Recording(NamedTuple):
    """Two recordings of one view, by path or URI, and what to call them.

    ``dataset`` is its set in the manifest of the folder ``listed_in``, which is None for others.
    """

    name: str
    visible: str
    infrared: str
    dataset: str = ""
    listed_in: Path | None = None


class FramePair(NamedTuple):
    """(H, W) uint8 visible luma and (H, W) uint8 infrared of one size."""

    name: str
    visible: Plane
    infrared: Plane


def list_recordings(text: str, split: Split, *, may_lack: bool = False) -> list[Recording]:
    """One argument of the forms above -> its recordings, in order; raises UserError.

    ``split`` is what a manifest's folder stands for. A manifest without such rows is an error,
    unless ``may_lack``.
    """
    path = Path(text)
    exists = _exists(path)
    if has_manifest(text):
        return _read_manifest(path, "", split, may_lack)
    if exists and path.is_dir():
        streams = [str(_find_stream(path, names)) for names in (VISIBLE_NAMES, INFRARED_NAMES)]
        return [Recording(path.resolve().name, streams[0], streams[1])]
    if text.count(",") == 1 and not exists:
        visible, infrared = (part.strip() for part in text.split(","))
        if _names(visible) & {*INFRARED_NAMES} and _names(infrared) & {*VISIBLE_NAMES}:
            raise UserError(
                f"{visible} is called infrared and {infrared} visible; the visible recording "
                f"comes first: {infrared},{visible}"
            )
        return [Recording(Path(visible).stem or visible, visible, infrared)]
    folder, hash_sign, rows = text.rpartition("#")
    if hash_sign and not exists:
        dataset, _, chosen = rows.partition(":")
        return _read_manifest(Path(folder), dataset, chosen, may_lack)
    raise UserError(f"{text} {'is a file' if exists else 'does not exist'}; {FORMS}")


def has_manifest(text: str) -> bool:
    """Whether an argument is a folder with a manifest, which stands for one split of it."""
    return _exists(Path(text) / MANIFEST)


def recording_files(recordings: Sequence[Recording]) -> list[Path]:
    """The files that are read for them, manifests too; none of them is opened."""
    manifests = {each.listed_in / MANIFEST for each in recordings if each.listed_in is not None}
    uris = (uri for each in recordings for uri in (each.visible, each.infrared))
    return [*source_files(*uris), *sorted(manifests)]


def read_frame_pairs(
    recordings: Sequence[Recording], *, shortest: bool = False
) -> Iterator[FramePair]:
    """Every pair of every recording, in order; planes are copies. Raises UserError.

    ``shortest`` stops at the shorter clip. Frames of a recording without a name have their own
    alone.
    """
    for recording in recordings:
        with (
            open_visible(recording.visible) as visible,
            open_infrared(recording.infrared) as infrared,
        ):
            pairs = OrderedPairs(visible, infrared, shortest=shortest)
            with closing(pairs.read()) as running:
                for number, pair in enumerate(running):
                    name = recording.name
                    if not name:
                        name = pair.visible.stem or str(number)
                    elif pairs.count != 1:
                        name = f"{name}/{pair.visible.stem or f'{number:06d}'}"
                    plane = pair.infrared.plane.astype(np.uint8)
                    yield FramePair(name, pair.visible.y.copy(), plane)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _names(uri: str) -> set[str]:
    """What a recording is called: its stem and its folder's name, in small letters."""
    path = Path(uri)
    return {path.stem.lower(), path.parent.name.lower()}


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
            f"{FORMS}"
        )
    return found[0]


def _read_manifest(root: Path, dataset: str, split: str, may_lack: bool) -> list[Recording]:
    """Rows of a set and a split, "" any, that name both recordings."""
    manifest = root / MANIFEST
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            lacking = [name for name in MANIFEST_COLUMNS if name not in (table.fieldnames or ())]
            rows = list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"cannot read {manifest} ({why}); it has the columns {','.join(MANIFEST_COLUMNS)}; "
            f"{FORMS}"
        ) from error
    if lacking:
        raise UserError(
            f"{manifest} lacks the columns {', '.join(lacking)}; "
            f"its first line must name {','.join(MANIFEST_COLUMNS)}"
        )
    paired = [row for row in rows if row["vi"] and row["ir"]]
    chosen = [
        row for row in paired if dataset in ("", row["dataset"]) and split in ("", row["split"])
    ]
    if not chosen and not may_lack:
        named = {"dataset": dataset, "split": split}
        wanted = " and ".join(f"{column}={value}" for column, value in named.items() if value)
        sets = sorted({f"{row['dataset']}:{row['split']}" for row in paired})
        raise UserError(
            f"{manifest} has no pair{f' with {wanted}' if wanted else ''}; it has: "
            f"{', '.join(sets) or 'none'}"
        )
    for path in (root / row[stream] for row in chosen for stream in ("vi", "ir")):
        if not _exists(path):
            raise UserError(f"{path} is in {manifest} but not on disk; complete the folder")
    return [
        Recording(
            f"{row['dataset']}/{row['name']}",
            str(root / row["vi"]),
            str(root / row["ir"]),
            row["dataset"],
            root,
        )
        for row in chosen
    ]
