"""What a training argument names: two recordings of one view, and the terms they are under.

    data/                with manifest.csv: its rows of one split
    day/                 with vi/ and ir/ (folders of images) or vi.* and ir.* (videos, images)
    a.mp4,b.mp4          the visible and the infrared recording themselves

``vi`` is also spelled ``vis`` or ``visible`` and ``ir`` ``infrared``, in any case.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mgdn_edge.runtime.capture.sources import source_files
from mgdn_edge.runtime.errors import UserError

Split = Literal["train", "val"]

MANIFEST = "manifest.csv"
MANIFEST_COLUMNS = ("dataset", "name", "ir", "vi", "split")
VISIBLE_NAMES = ("vi", "vis", "visible")
INFRARED_NAMES = ("ir", "infrared")
NOT_STATED = "not stated"
# What each set's origin states about its terms, for the sets our own weights are trained on.
LICENCES = {
    "roadscene": "RoadScene states no licence (its README asks for citation)",
    "msrs": "MSRS by way of MIT repositories (it derives from MFNet)",
    "msrs_gray": "MSRS by way of WaveFusionNet, MIT",
    "sequences/0117_1605_mp4": "M3SVD, MIT",
    "sequences/1230_1202_mp4": "M3SVD, MIT",
}


@dataclass(frozen=True)
class Recording:
    """Two images, clips or folders of images; the keys name their files in a record."""

    dataset: str
    name: str
    licence: str
    visible: Path
    infrared: Path
    visible_key: str
    infrared_key: str


def list_recordings(data: tuple[str, ...], split: Split, licence: str | None) -> list[Recording]:
    """Arguments -> their recordings, in order; a manifest gives its rows of ``split`` only.

    ``licence`` is for whatever ``LICENCES`` does not know. Raises UserError for an argument
    that is not of one of the three forms and for a manifest's set without a licence.
    """
    found: list[Recording] = []
    for text in data:
        path = Path(text)
        taken = {recording.dataset for recording in found}
        if (path / MANIFEST).is_file():
            found += _read_manifest(path, split, licence)
        elif path.is_dir():
            visible, infrared = (
                _find_stream(path, names) for names in (VISIBLE_NAMES, INFRARED_NAMES)
            )
            found.append(_unlisted(_free_name(path, taken), licence, visible, infrared))
        elif text.count(",") == 1 and not path.exists():
            visible, infrared = (Path(part.strip()) for part in text.split(","))
            for part in (visible, infrared):
                if not part.exists():
                    raise UserError(f"{part} (of {text}) does not exist; give VISIBLE,INFRARED")
            name = _free_name(visible.parent, taken)
            found.append(_unlisted(name, licence, visible, infrared))
        else:
            state = "is a file" if path.exists() else "does not exist"
            raise UserError(
                f"{text} {state}; give a folder with {MANIFEST}, a folder with vi and ir, or "
                "two paths joined with a comma, such as vi.mp4,ir.mp4"
            )
    return found


def recording_files(data: tuple[str, ...], splits: tuple[Split, ...]) -> list[Path]:
    """Every file that reading these arguments opens; raises UserError as ``list_recordings``."""
    # Terms matter to those who read; here a set without any is listed all the same.
    found = [each for split in splits for each in list_recordings(data, split, NOT_STATED)]
    uris = [str(path) for each in found for path in (each.visible, each.infrared)]
    return [*source_files(*uris), *(Path(text) / MANIFEST for text in manifests(data))]


def manifests(data: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the arguments that are folders with a manifest."""
    return tuple(text for text in data if (Path(text) / MANIFEST).is_file())


def _unlisted(name: str, licence: str | None, visible: Path, infrared: Path) -> Recording:
    keys = [
        f"{name}/{stream}" if path.is_dir() else f"{name}/{stream}/{path.name}"
        for stream, path in (("vi", visible), ("ir", infrared))
    ]
    return Recording(name, "", licence or NOT_STATED, visible, infrared, *keys)


def _free_name(folder: Path, taken: set[str]) -> str:
    base = folder.resolve().name or "data"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name


def _find_stream(folder: Path, names: tuple[str, ...]) -> Path:
    found = sorted(
        path
        for path in folder.iterdir()
        if (path.name if path.is_dir() else path.stem).lower() in names
    )
    if len(found) != 1:
        what = f"both {found[0].name} and {found[1].name}" if found else f"no {names[0]}"
        raise UserError(
            f"{folder} holds {what}; one folder or file named {' or '.join(names)} is needed, "
            f"or a {MANIFEST}; or join two paths with a comma"
        )
    return found[0]


def _read_manifest(root: Path, split: Split, licence: str | None) -> list[Recording]:
    manifest = root / MANIFEST
    with manifest.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        missing = [name for name in MANIFEST_COLUMNS if name not in (table.fieldnames or ())]
        if missing:
            raise UserError(
                f"{manifest} lacks the columns {', '.join(missing)}; "
                f"its first line must name {','.join(MANIFEST_COLUMNS)}"
            )
        rows = [row for row in table if row["split"] == split]
    recordings = []
    for row in rows:
        terms = LICENCES.get(row["dataset"], licence)
        if not terms:
            raise UserError(
                f"{manifest}: set {row['dataset']!r} has split={split} but no licence is recorded "
                'for it; state its terms: --licence "TEXT"'
            )
        visible, infrared = root / row["vi"], root / row["ir"]
        for path in (visible, infrared):
            if not path.is_file():
                raise UserError(f"{path} is in {manifest} but not on disk; complete the folder")
        recordings.append(
            Recording(
                row["dataset"], row["name"], terms, visible, infrared,
                str(visible.relative_to(root)), str(infrared.relative_to(root)),
            )
        )  # fmt: skip
    return recordings
