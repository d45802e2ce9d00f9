"""Which file of a bundle is fused by: asked for by name, else by size, backend and verdicts."""

from __future__ import annotations

from mgdn_edge.runtime.bundle.export_record import ExportedModel
from mgdn_edge.runtime.bundle.manifest import Manifest, Variant
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.contract.backend_names import DEFAULT_BACKEND
from mgdn_edge.runtime.machine.processor_class import processor_class
from mgdn_edge.runtime.picture.frame import Size


def choose_variant(
    manifest: Manifest,
    *,
    variant: str | None = None,
    precision: str | None = None,
    size: Size | None = None,
    backend: str = DEFAULT_BACKEND,
) -> Variant:
    """The asked-for variant, else the static one of ``size``, else the dynamic one.

    Without ``precision`` it is the one ``default_precisions`` names first; lower ones are for the
    backends they were made for, float32 for any. UserError where a name or precision is not in the
    manifest for ``backend``, or frames of ``size`` (height, width) fit no variant.
    """
    for wanted in [precision] if precision else default_precisions(manifest, backend):
        matching = [
            candidate
            for candidate in manifest.variants
            if variant in (None, candidate.name)
            and candidate.precision == wanted
            and (wanted == "fp32" or backend in candidate.backends)
        ]
        sizes: list[tuple[int | None, int | None] | None] = [size, (None, None)]
        if size is None and variant is not None:
            sizes += [(candidate.height, candidate.width) for candidate in matching]
        for sides in sizes:
            for candidate in matching:
                if (candidate.height, candidate.width) == sides:
                    return candidate
    offered = ", ".join(_describe(each) for each in manifest.variants)
    asked = ", ".join(
        [f"variant {variant}"] * (variant is not None)
        + [f"precision {precision}"] * (precision is not None)
        + [f"size {size[1]}x{size[0]}" for size in [size] if size is not None]
    )
    refused = [
        f"; {precision} was refused: {'; '.join(verdict.reasons)}"
        for verdict in manifest.verdicts
        if (verdict.precision, verdict.backend, verdict.accepted) == (precision, backend, False)
    ]
    raise UserError(
        f"network {manifest.name} has nothing for {asked or 'frames of any size'}; "
        f"it has: {offered}{''.join(refused)}"
    )


def _describe(variant: Variant) -> str:
    made_for = "" if variant.precision == "fp32" else f" for {', '.join(variant.backends)}"
    return f"{variant.name} ({variant.precision}{made_for})"


def default_precisions(manifest: Manifest, backend: str) -> list[str]:
    """What is used without ``--precision``, the first that is there: the gate's verdicts decide.

    A lower precision comes before float32 where it was accepted on ``backend`` and measured to be
    faster on a processor like this one.
    """
    here = processor_class()
    faster = [
        verdict.precision
        for verdict in manifest.verdicts
        if verdict.accepted
        and verdict.faster
        and verdict.backend == backend
        and verdict.speed is not None
        and verdict.speed.processor == here
    ]
    return [*faster, "fp32"]


def static_size(variant: Variant | ExportedModel) -> Size | None:
    """(height, width) of a static variant, None for a dynamic one."""
    if variant.height is None or variant.width is None:
        return None
    return variant.height, variant.width
