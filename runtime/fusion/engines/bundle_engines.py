"""build_engines and explain_engines: all engines of one bundle on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from mgdn_edge.runtime.bundle.manifest import Manifest, Variant
from mgdn_edge.runtime.bundle.network_names import find_bundle
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.contract.backend_names import TENSORRT_BACKEND, FilterChoice
from mgdn_edge.runtime.fusion.contract.variant_choice import choose_variant, default_precisions
from mgdn_edge.runtime.fusion.engines.engine_cache import EngineCache, Miss, Verification
from mgdn_edge.runtime.fusion.engines.engine_key import DEFAULT_OPTIONS, BuildOptions, EngineKey
from mgdn_edge.runtime.fusion.engines.engine_plan import (
    DEFAULT_BUILDER,
    EnginePlan,
    find_builder,
    plan_engine,
    target_device,
)
from mgdn_edge.runtime.fusion.engines.obtain_engine import (
    Engine,
    Origin,
    free_memory,
    obtain_engine,
)
from mgdn_edge.runtime.machine.device import Device
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.picture.frame import Size


class EngineRequest(msgspec.Struct, frozen=True):
    """What to build: ``bundle`` is a path or a packaged network's name.

    Without ``variant`` and ``size`` ((height, width)) every variant with a size of its own.
    """

    bundle: str
    variant: str | None = None
    precision: str | None = None
    size: Size | None = None
    builder: str = DEFAULT_BUILDER
    filter: FilterChoice | None = None
    options: BuildOptions = DEFAULT_OPTIONS


class EngineSummary(msgspec.Struct, frozen=True):
    """An engine without its bytes, for a person or a script; ``path`` null where not kept."""

    network: str
    variant: str
    origin: Origin
    path: str | None
    bytes: int
    build_seconds: float
    verified: Verification | None
    key: EngineKey
    notes: tuple[str, ...]


class Explanation(msgspec.Struct, frozen=True):
    """What a start would do for one variant: ``reason`` says why, in one clause."""

    network: str
    variant: str
    state: Literal["cached", "would build"]
    path: str
    reason: str
    key: EngineKey


def build_engines(
    request: EngineRequest,
    cache: EngineCache,
    *,
    cached_only: bool = False,
    ignore_memory: bool = False,
    progress: Progress = SILENT,
) -> Iterator[EngineSummary]:
    """Obtain every engine asked for, one after the other; UserError or DeviceError."""
    plans, device = plan_bundle(request)
    free = free_memory(device.integrated or not device.gpu)
    for plan in plans:
        yield _summarise(
            obtain_engine(
                plan,
                cache,
                free=free,
                cached_only=cached_only,
                ignore_memory=ignore_memory,
                progress=progress,
            )
        )


def explain_engines(request: EngineRequest, cache: EngineCache) -> list[Explanation]:
    """Whether each engine asked for is cached, and where not, which field differs."""
    explanations = []
    for plan in plan_bundle(request)[0]:
        found = cache.find(plan.network, plan.variant, plan.key)
        explanations.append(
            Explanation(
                network=plan.network,
                variant=plan.variant,
                state="would build" if isinstance(found, Miss) else "cached",
                path=str(cache.path_of(plan.network, plan.variant, plan.key)),
                reason=found.reason if isinstance(found, Miss) else "every field fits",
                key=plan.key,
            )
        )
    return explanations


def plan_bundle(request: EngineRequest) -> tuple[list[EnginePlan], Device]:
    """The plans of a request and the device they are for. UserError or DeviceError."""
    builder = find_builder(request.builder)
    with open_bundle(find_bundle(request.bundle)) as bundle:
        variants = _choose_variants(bundle.manifest, request)
        device = target_device(builder)
        plans = [
            plan_engine(
                bundle,
                variant,
                builder=builder,
                device=device,
                size=request.size,
                options=request.options,
                filter=request.filter,
            )
            for variant in variants
        ]
    return plans, device


def _choose_variants(manifest: Manifest, request: EngineRequest) -> list[Variant]:
    if request.variant is not None or request.size is not None:
        asked = {"variant": request.variant, "precision": request.precision}
        size = request.size if request.variant is None else None
        return [choose_variant(manifest, **asked, size=size, backend=TENSORRT_BACKEND)]
    precisions = (
        [request.precision] if request.precision else default_precisions(manifest, TENSORRT_BACKEND)
    )
    chosen = [
        variant
        for variant in manifest.variants
        if TENSORRT_BACKEND in variant.backends and variant.precision in precisions
    ]
    if not chosen:
        offered = ", ".join(f"{each.name} ({each.precision})" for each in manifest.variants)
        raise UserError(
            f"{manifest.name} has no variant for {TENSORRT_BACKEND} with a size of its own"
            f"{f' in {request.precision}' if request.precision else ''}; it has: {offered}; "
            "pass --size WIDTHxHEIGHT for the dynamic one"
        )
    return chosen


def _summarise(engine: Engine) -> EngineSummary:
    return EngineSummary(
        network=engine.network,
        variant=engine.variant,
        origin=engine.origin,
        path=str(engine.path) if engine.path else None,
        bytes=len(engine.data),
        build_seconds=engine.build_seconds,
        verified=engine.verified,
        key=engine.key,
        notes=engine.notes,
    )
