"""Training and validation pairs as luma planes, read as the runtime reads them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from mgdn_edge.export.recordings import NOT_STATED, Recording, list_recordings, manifests
from mgdn_edge.runtime.capture.sources import InfraredOptions, open_infrared, open_visible
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.by_order import OrderedPairs
from mgdn_edge.runtime.picture.frame import Plane

FRAMES_PER_CLIP = 24  # neighbours in a clip differ little; these are spread evenly over it


@dataclass(frozen=True)
class DataOptions:
    """Which recordings are read, and how; ``data`` and ``validation`` as in ``recordings``.

    ``frames`` limits each recording to that many pairs, spread evenly over it; without it a
    clip gives ``FRAMES_PER_CLIP`` and a folder of images all of them.
    """

    data: tuple[str, ...]
    validation: tuple[str, ...] = ()
    licence: str | None = None
    frames: int | None = None
    shortest: bool = False
    infrared: InfraredOptions = field(default_factory=InfraredOptions)


@dataclass(frozen=True)
class TrainingPair:
    """(H, W) uint8 luma and (H, W) uint8 infrared of one size."""

    name: str
    visible: Plane
    infrared: Plane


@dataclass(frozen=True)
class PairSet:
    """OrderedPairs in the order read; ``digests`` maps each file read to its sha256."""

    pairs: list[TrainingPair]
    digests: dict[str, str]
    licences: dict[str, str]


@dataclass(frozen=True)
class TrainingData:
    """What is learnt from, what is only looked at, and notes on it."""

    training: PairSet
    validation: PairSet
    notes: tuple[str, ...]


def read_training_data(options: DataOptions) -> TrainingData:
    """Options -> every pair, in memory.

    Raises UserError where a file, a licence or every pair is missing, sizes or lengths differ,
    or a file is in both sets: validation on what was learnt says nothing.
    """
    if not options.data:
        raise UserError("no training data; give a folder of pairs: mgdn train DATA OUT.safetensors")
    if options.frames is not None and options.frames < 1:
        raise UserError(f"--frames {options.frames} asks for no frame; give 1 or more")
    training = _read_set(list_recordings(options.data, "train", options.licence), options)
    if not training.pairs:
        raise UserError(f"{options.data[0]}: no pair with split=train; nothing to train on")
    validation = _read_set(
        [
            *list_recordings(manifests(options.data), "val", options.licence),
            *list_recordings(options.validation, "val", options.licence),
        ],
        options,
    )
    if options.validation and not validation.pairs:
        raise UserError(f"{options.validation[0]}: no pair with split=val; give other data")
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


def _read_set(recordings: list[Recording], options: DataOptions) -> PairSet:
    pairs: list[TrainingPair] = []
    digests: dict[str, str] = {}
    licences: dict[str, str] = {}
    for recording in recordings:
        licences[recording.dataset] = recording.licence
        pairs += _read_recording(recording, options, digests)
    return PairSet(pairs, digests, licences)


def _read_recording(
    recording: Recording, options: DataOptions, digests: dict[str, str]
) -> Iterator[TrainingPair]:
    """OrderedPairs of one recording; the digests of the files they come from go to ``digests``.

    Luma as the runtime's sources give it, so training sees what fusing will see.
    """
    with (
        open_visible(str(recording.visible)) as visible,
        open_infrared(str(recording.infrared), options.infrared) as infrared,
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
        for source, key in (
            (pairs.visible, recording.visible_key),
            (pairs.infrared, recording.infrared_key),
        ):
            for path in source.paths:
                name = key if source.stems is None else f"{key}/{path.name}"
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
            name = "/".join(filter(None, (recording.dataset, recording.name)))
            # Copies, as a source's planes may be views of the decoder's memory.
            yield TrainingPair(f"{name}#{index}", luma.copy(), heat.astype(np.uint8))


def digest_list(digests: dict[str, str]) -> str:
    """Names and sha256 of files, in order -> sha256 of the list as 64 hexadecimal digits."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
    return hashlib.sha256(lines.encode()).hexdigest()
