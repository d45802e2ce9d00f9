"""extend_bundle: a bundle, candidates of lower precision and their verdicts -> a new bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from mgdn_edge import __version__
from mgdn_edge.runtime.bundle.archive import encode_archive
from mgdn_edge.runtime.bundle.manifest import (
    MANIFEST_FILE,
    CalibrationProvenance,
    GoldenPair,
    Manifest,
    Variant,
    decode_manifest,
    encode_manifest,
    listed_files,
)
from mgdn_edge.runtime.bundle.reader import Bundle
from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import OnnxRuntimeSession
from mgdn_edge.runtime.fusion.contract.golden_check import encode_plane
from mgdn_edge.runtime.packing.creation import DYNAMIC_GOLDEN_SIZE, onnxruntime_version, refer
from mgdn_edge.runtime.picture.drawn_scene import draw_scene
from mgdn_edge.runtime.quality.precision_verdict import CandidatePrecision, Verdict
from mgdn_edge.runtime.whole_file import Output

# Requantising rounds a value on a border either way, which processors and runtimes decide
# differently, and each layer adds its own: integer kernels against the same graph in float differ
# by up to 4 levels on the golden scene (tests/calibration/test_qdq.py).
CANDIDATE_TOLERANCE_LEVELS = 8


class Candidate(msgspec.Struct, frozen=True):
    """One graph of lower precision that takes the place of ``base`` on ``backend``."""

    base: Variant
    precision: CandidatePrecision
    backend: str
    model: bytes
    model_without_body: bytes


def extend_bundle(
    bundle: Bundle,
    output: Output,
    candidates: Sequence[Candidate],
    verdicts: Sequence[Verdict],
    calibration: CalibrationProvenance,
    *,
    files: Mapping[str, bytes] = {},
    tools: Mapping[str, str] = {},
) -> Manifest:
    """Write ``output`` with the bundle's float32 variants and ``candidates``; its manifest.

    ``files`` are added as they are, ``tools`` to the versions. Variants of lower precision and
    verdicts the bundle has are replaced. The output has no signature. Raises UserError.
    """
    old = bundle.manifest
    kept = tuple(variant for variant in old.variants if variant.precision == "fp32")
    others = tuple(ref for ref in old.files if ref.path not in files)
    wanted = listed_files(msgspec.structs.replace(old, variants=kept, files=others))
    contents = {ref.path: bundle.read(ref) for ref in wanted}
    contents |= files
    added = tuple(_add_candidate(bundle, each, contents) for each in candidates)
    used = {**old.provenance.tools, "onnxruntime": onnxruntime_version(), **tools}
    manifest = msgspec.structs.replace(
        old,
        created_by=f"mgdn-edge {__version__}",
        variants=(*kept, *added),
        files=(*others, *(refer(contents, path) for path in files)),
        provenance=msgspec.structs.replace(old.provenance, calibration=calibration, tools=used),
        verdicts=tuple(verdicts),
    )
    text = encode_manifest(manifest)
    decode_manifest(text)  # a bundle we would refuse to open is not written
    output.write(encode_archive({MANIFEST_FILE: text, **contents}))
    return manifest


def _add_candidate(bundle: Bundle, candidate: Candidate, contents: dict[str, bytes]) -> Variant:
    """Put the candidate's files and its golden pair into ``contents``."""
    base = candidate.base
    size = None if base.height is None or base.width is None else (base.height, base.width)
    name = f"{base.name}.{candidate.precision}.{candidate.backend}"
    paths = {"file": f"models/{name}.onnx", "file_without_body": f"models/{name}.plugin.onnx"}
    contents[paths["file"]] = candidate.model
    contents[paths["file_without_body"]] = candidate.model_without_body
    scene = draw_scene(*(size or DYNAMIC_GOLDEN_SIZE))
    with OnnxRuntimeSession(
        candidate.model,
        spec=bundle.manifest.spec,
        variant=base.name,
        precision=candidate.precision,
        size=size,
    ) as session:
        fused = session.fuse(scene.visible, scene.infrared)
    golden = {"visible": scene.visible, "infrared": scene.infrared, "expected": fused}
    for role, plane in golden.items():
        contents[f"golden/{name}.{role}.png"] = encode_plane(plane)
    return Variant(
        name=base.name,
        file=refer(contents, paths["file"]),
        file_without_body=refer(contents, paths["file_without_body"]),
        height=base.height,
        width=base.width,
        precision=candidate.precision,
        backends=(candidate.backend,),
        golden=GoldenPair(
            **{role: refer(contents, f"golden/{name}.{role}.png") for role in golden},
            tolerance_levels=CANDIDATE_TOLERANCE_LEVELS,
        ),
    )
