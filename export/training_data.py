"""Training and validation pairs as luma planes, read as the runtime reads them, and their terms."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mgdn_edge.runtime.capture.sources import InfraredOptions, open_infrared, open_visible
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.by_order import OrderedPairs
from mgdn_edge.runtime.pairing.recordings import (
    FramePair,
    Recording,
    Split,
    has_manifest,
    list_recordings,
    recording_files,
)

FRAMES_PER_CLIP = 24  # neighbours in a clip differ little; these are spread evenly over it
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
class DataOptions:
    """Which recordings are read, and how; ``data`` and ``validation`` as for ``list_recordings``.

    ``frames`` limits each recording to that many pairs, spread evenly over it; without it a
    clip gives ``FRAMES_PER_CLIP`` and a folder of images all of them.
    """

    data: tuple[str, ...]
    validation: tuple[str, ...] = ()
    licence: str | None = None
    frames: int | None = None
    shortest: bool = False
    infrared: InfraredOptions = field(default_factory=InfraredOptions)


class TrainingSource(NamedTuple):
    """A recording, its set and the terms of that; the keys name its files in a record."""

    recording: Recording
    dataset: str
    licence: str
    visible_key: str
    infrared_key: str


@dataclass(frozen=True)
class PairSet:
    """OrderedPairs in the order read; ``digests`` maps each file read to its sha256."""

    pairs: list[FramePair]
    digests: dict[str, str]
    licences: dict[str, str]


@dataclass(frozen=True)
class TrainingData:
    """What is learnt from, what is only looked at, and notes on it."""

    training: PairSet
    validation: PairSet
    notes: tuple[str, ...]


def read_training_data(options: DataOptions) -> TrainingData:
    """Options -> every pair, in memory; a folder with a manifest validates on its rows of val.

    Raises UserError where a file, a licence or every pair is missing, sizes or lengths differ,
    or a file is in both sets: validation on what was learnt says nothing.
    """
    if not options.data:
        raise UserError("no training data; give a folder of pairs: mgdn train DATA OUT.safetensors")
    if options.frames is not None and options.frames < 1:
        raise UserError(f"--frames {options.frames} asks for no frame; give 1 or more")
    training = _read_set(list_sources(options.data, "train", options.licence), options)
    listed = [text for text in options.data if has_manifest(text)]
    validation = _read_set(
        [
            *list_sources(listed, "val", options.licence, may_lack=True),
            *list_sources(options.validation, "val", options.licence),
        ],
        options,
    )
    learnt = {digest: name for name, digest in training.digests.items()}
    for name, digest in validation.digests.items():
        if digest in learnt:
            raise UserError(
                f"validation file {name} is training file {learnt[digest]}; "
                "give validation data that is not trained on"
            )
    return TrainingData(training, validation, _notes(training))


def _notes(training: PairSet) -> tuple[str, ...]:
    unstated = [name for name, licence in training.licences.items() if licence == NOT_STATED]
    if not unstated:
        return ()
    return (f'licence of {", ".join(unstated)} not stated; state it with --licence "TEXT"',)


def list_sources(
    data: Sequence[str], split: Split, licence: str | None, *, may_lack: bool = False
) -> list[TrainingSource]:
    """Arguments -> their recordings, in order, and what the record will say of them.

    ``licence`` is for whatever ``LICENCES`` does not know. UserError for an argument that is of no
    known form, for what is no file, and for a manifest's set without a licence.
    """
    found: list[TrainingSource] = []
    for text in data:
        taken = {source.dataset for source in found}
        for recording in list_recordings(text, split, may_lack=may_lack):
            paths = Path(recording.visible), Path(recording.infrared)
            for path in paths:
                if not path.exists():
                    raise UserError(
                        f"{path} (of {text}) does not exist; training reads files: "
                        "give VISIBLE,INFRARED"
                    )
            if recording.listed_in is None:
                name = _free_name(paths[0].parent, taken)
                keys = [
                    f"{name}/{stream}" if path.is_dir() else f"{name}/{stream}/{path.name}"
                    for stream, path in zip(("vi", "ir"), paths, strict=True)
                ]
                found.append(TrainingSource(recording, name, licence or NOT_STATED, *keys))
                continue
            terms = LICENCES.get(recording.dataset, licence)
            if not terms:
                raise UserError(
                    f"{text}: no licence is recorded for set {recording.dataset!r}; state its "
                    'terms: --licence "TEXT"'
                )
            keys = [str(path.relative_to(recording.listed_in)) for path in paths]
            found.append(TrainingSource(recording, recording.dataset, terms, *keys))
    return found


def training_files(options: DataOptions) -> list[Path]:
    """Every file that reading these data opens; raises UserError as ``list_recordings``."""
    splits: tuple[Split, ...] = ("train", "val")
    found = [(text, split) for text in options.data for split in splits]
    found += [(text, "val") for text in options.validation]
    return recording_files(
        [each for text, split in found for each in list_recordings(text, split, may_lack=True)]
    )


def _free_name(folder: Path, taken: set[str]) -> str:
    base = folder.resolve().name or "data"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name


def _read_set(sources: list[TrainingSource], options: DataOptions) -> PairSet:
    pairs: list[FramePair] = []
    digests: dict[str, str] = {}
    licences: dict[str, str] = {}
    for source in sources:
        licences[source.dataset] = source.licence
        pairs += _read_source(source, options, digests)
    return PairSet(pairs, digests, licences)


def _read_source(
    source: TrainingSource, options: DataOptions, digests: dict[str, str]
) -> Iterator[FramePair]:
    """OrderedPairs of one recording; the digests of the files they come from go to ``digests``.

    Luma as the runtime's sources give it, so training sees what fusing will see.
    """
    recording = source.recording
    with (
        open_visible(recording.visible) as visible,
        open_infrared(recording.infrared, options.infrared) as infrared,
    ):
        # Sizes are compared below, as pairs of any two sizes are never resized to train on.
        pairs = OrderedPairs(visible, infrared, shortest=options.shortest, resize=True)
        count, stems = pairs.count, pairs.visible.stems
        of_images = stems is not None and pairs.infrared.stems is not None
        limit = options.frames or (count if of_images else FRAMES_PER_CLIP)
        wanted = set(np.linspace(0, count - 1, min(limit, count)).round().astype(int).tolist())
        if stems is not None and of_images:
            chosen = [stem for index, stem in enumerate(stems) if index in wanted]
            pairs = OrderedPairs(
                pairs.visible.only(chosen), pairs.infrared.only(chosen), resize=True
            )
            wanted = set(range(len(chosen)))
        for opened, key in (
            (pairs.visible, source.visible_key),
            (pairs.infrared, source.infrared_key),
        ):
            for path in opened.paths:
                name = key if opened.stems is None else f"{key}/{path.name}"
                digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        for index, pair in enumerate(pairs.read()):
            if index not in wanted:
                continue
            luma, heat = pair.visible.y, pair.infrared.plane
            if luma.shape != heat.shape:
                where = pair.visible.stem or recording.visible
                raise UserError(
                    f"{where} is {luma.shape} and its infrared partner {heat.shape} "
                    "(height, width); training pairs must be of one size"
                )
            name = source.dataset if recording.listed_in is None else recording.name
            # Copies, as a source's planes may be views of the decoder's memory.
            yield FramePair(f"{name}#{index}", luma.copy(), heat.astype(np.uint8))


def digest_list(digests: dict[str, str]) -> str:
    """Names and sha256 of files, in order -> sha256 of the list as 64 hexadecimal digits."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
    return hashlib.sha256(lines.encode()).hexdigest()
