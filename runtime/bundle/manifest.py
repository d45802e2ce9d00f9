"""Manifest: what a bundle states about itself, with a digest of every other file."""

from collections import Counter
from typing import Annotated

import msgspec

from mgdn_edge.runtime.bundle.export_record import (
    DYNAMIC_VARIANT,
    Precision,
    Sha256,
    Side,
    TrainingProvenance,
    WeightsProvenance,
)
from mgdn_edge.runtime.bundle.fusion_spec import FusionSpec
from mgdn_edge.runtime.bundle.ranges import PairDigest
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.quality.precision_verdict import Verdict

MANIFEST_FILE = "manifest.json"
SIGNATURE_FILE = "MANIFEST.sig"
MANIFEST_SCHEMA = 1
MAX_MANIFEST_BYTES = 1 << 20
MAX_SIGNATURE_BYTES = 4096

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]


class FileRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the bundle: its path inside, the SHA-256 and the number of its bytes."""

    path: str
    sha256: Sha256
    bytes: Annotated[int, msgspec.Meta(ge=0)]


class GoldenPair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Grey 8-bit PNG files; fusing the first two must give the third.

    ``tolerance_levels`` is the largest difference allowed in any pixel, in levels of 0..255.
    """

    visible: FileRef
    infrared: FileRef
    expected: FileRef
    tolerance_levels: Annotated[int, msgspec.Meta(ge=0, le=255)]


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One frame graph: "dynamic" with null sides, or "640x480" (width x height) with its own.

    ``file`` holds DynamicFilter with its function body, ``file_without_body`` is for parsers
    that must find the plugin instead. ``backends`` names those it is meant for.
    """

    name: Name
    file: FileRef
    file_without_body: FileRef
    height: Side | None
    width: Side | None
    precision: Precision
    backends: tuple[str, ...]
    golden: GoldenPair


class CalibrationProvenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The pairs 8-bit variants were calibrated on and judged on; ``ranges`` is ``ranges.json``'s
    digest, ``selection`` says in words how pairs were chosen.
    """

    ranges: Sha256
    method: str
    selection: str
    pairs: tuple[PairDigest, ...]
    held_out: tuple[PairDigest, ...]
    notes: tuple[str, ...] = ()


class Provenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where everything came from; ``training`` and ``calibration`` are null where there was none.

    ``tools`` maps names of tools to the versions that made this bundle.
    """

    weights: WeightsProvenance
    training: TrainingProvenance | None
    calibration: CalibrationProvenance | None
    tools: dict[str, str]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The contents of ``manifest.json``; ``files`` are those no variant refers to.

    ``quality`` maps metrics to values measured on the data set its "data" note names;
    ``verdicts`` judge every candidate of lower precision, those refused too.
    """

    schema: int
    name: Name
    network: Name
    created_by: str
    spec: FusionSpec
    variants: tuple[Variant, ...]
    files: tuple[FileRef, ...]
    provenance: Provenance
    quality: dict[str, float | str] | None = None
    verdicts: tuple[Verdict, ...] = ()


class _SchemaOnly(msgspec.Struct, frozen=True):
    schema: int


def encode_manifest(manifest: Manifest) -> bytes:
    """Manifest -> indented JSON with sorted keys in its maps, ending in a newline."""
    encoded = msgspec.json.encode(manifest, order="deterministic")
    return msgspec.json.format(encoded, indent=1) + b"\n"


def decode_manifest(text: bytes) -> Manifest:
    """JSON -> Manifest; UserError (one clause) where it is not one this version reads."""
    try:
        schema = msgspec.json.decode(text, type=_SchemaOnly).schema
        if schema != MANIFEST_SCHEMA:
            raise UserError(
                f"its manifest has schema {schema}; this version of mgdn-edge reads "
                f"{MANIFEST_SCHEMA}; install the version that made it"
            )
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UserError(f"its manifest is not valid ({error})") from error
    _check_consistency(manifest)
    return manifest


def variant_label(variant: Variant) -> str:
    """A variant's name, with precision and backends where it is not the float32 one."""
    if variant.precision == "fp32":
        return variant.name
    return f"{variant.name} {variant.precision} for {', '.join(variant.backends)}"


def listed_files(manifest: Manifest) -> tuple[FileRef, ...]:
    """Every file the manifest vouches for, in the order it names them."""
    refs = list(manifest.files)
    for variant in manifest.variants:
        golden = variant.golden
        refs += [variant.file, variant.file_without_body]
        refs += [golden.visible, golden.infrared, golden.expected]
    return tuple(refs)


def _check_consistency(manifest: Manifest) -> None:
    names = [variant_label(variant) for variant in manifest.variants]
    if not names or len(set(names)) != len(names):
        raise UserError(f"its manifest names the variants {names}; at least one, each once")
    for variant in manifest.variants:
        if variant.height is None or variant.width is None:
            wanted, sides = DYNAMIC_VARIANT, {variant.height, variant.width} == {None}
        else:
            wanted, sides = f"{variant.width}x{variant.height}", True
        if variant.name != wanted or not sides:
            raise UserError(
                f"its variant {variant.name} has height {variant.height} and width "
                f"{variant.width}; the name must say them"
            )
    paths = [ref.path for ref in listed_files(manifest)]
    # Counted once: a hostile manifest has room for ten thousand paths.
    twice = [path for path, count in Counter(paths).items() if count > 1]
    if twice:
        raise UserError(f"its manifest lists {min(twice)} twice")
