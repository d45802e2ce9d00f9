"""extend_bundle: a bundle, candidates of lower precision and their verdicts -> a new bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from mgdn_edge.runtime.bundle.manifest import (
    CalibrationProvenance,
    Manifest,
    Variant,
    listed_files,
)
from mgdn_edge.runtime.bundle.reader import Bundle
from mgdn_edge.runtime.fusion.contract.variant_choice import static_size
from mgdn_edge.runtime.packing.bundle_writer import CREATED_BY, BundleWriter, tool_versions
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
    writer = BundleWriter(old.spec, {**contents, **files})
    added = tuple(
        writer.add_variant(
            f"{each.base.name}.{each.precision}.{each.backend}",
            each.model,
            each.model_without_body,
            name=each.base.name,
            size=static_size(each.base),
            precision=each.precision,
            backends=(each.backend,),
            tolerance_levels=CANDIDATE_TOLERANCE_LEVELS,
        )
        for each in candidates
    )
    used = tool_versions({**old.provenance.tools, **tools})
    manifest = msgspec.structs.replace(
        old,
        created_by=CREATED_BY,
        variants=(*kept, *added),
        files=(*others, *(writer.refer(path) for path in files)),
        provenance=msgspec.structs.replace(old.provenance, calibration=calibration, tools=used),
        verdicts=tuple(verdicts),
    )
    writer.write(output, manifest)
    return manifest
