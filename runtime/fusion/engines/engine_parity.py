"""open_compared: an engine's picture beside the bundle's, before it is used the first time.

One engine in an unlucky place computes something else than its file says (a plugin of another
version, a tactic with too little precision); it must not show pictures.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from mgdn_edge.runtime.bundle.manifest import Variant
from mgdn_edge.runtime.bundle.reader import Bundle
from mgdn_edge.runtime.errors import DeviceError
from mgdn_edge.runtime.fusion.contract.golden_check import GOLDEN, measure_golden
from mgdn_edge.runtime.fusion.contract.opened_session import OpenedSession
from mgdn_edge.runtime.fusion.contract.session import Session
from mgdn_edge.runtime.fusion.engines.engine_cache import EngineCache, Verification
from mgdn_edge.runtime.fusion.engines.memory_need import MIB
from mgdn_edge.runtime.fusion.engines.obtain_engine import Engine
from mgdn_edge.runtime.picture.drawn_scene import draw_scene
from mgdn_edge.runtime.quality.parity import Parity, measure_parity

ON_THE_CPU = "CPU"


def open_compared(
    engine: Engine,
    cache: EngineCache,
    bundle: Bundle,
    variant: Variant,
    open_session: Callable[[Engine], Session],
) -> OpenedSession:
    """Deserialise ``engine`` with ``open_session`` and see its parity, which is not judged.

    Where it is within the bundle's tolerance it goes into the engine's sidecar, else a
    DeviceError becomes the refusal. ``execution`` of the session describes the engine.
    """
    session = open_session(engine)
    try:
        reference, parity = measure_engine(engine, bundle, variant, session)
    except BaseException:
        session.close()
        raise
    refusal = None
    if parity.passed:
        verified = Verification(reference, parity.max_error, parity.tolerance, time.time())
        if engine.path is not None and engine.verified is None:
            cache.mark_verified(engine.path, verified)
        engine = msgspec.structs.replace(engine, verified=verified)
    else:
        where = f" {engine.path}" if engine.path else ""
        refusal = DeviceError(
            f"the engine{where} differs from the {reference} of {bundle.path}, variant "
            f"{variant.name}, by up to {parity.max_error:.0f} levels; {parity.tolerance:.0f} are "
            "allowed, so it is not used; remove it and build again, with --filter body if the "
            "plugin is in doubt"
        )
    session.execution["engine"] = describe_engine(engine)
    notes = "".join(f"; {note}" for note in engine.notes)
    text = f"{describe_engine(engine)}, key {engine.key.builder_version}{notes}"
    return OpenedSession(session, reference, parity, text, refusal)


def describe_engine(engine: Engine) -> str:
    """Where an engine came from and how near it is to the bundle's picture, for reports."""
    text = (
        f"{engine.origin}, {len(engine.data) / MIB:.1f} MiB, made in {engine.build_seconds:.0f} s"
    )
    if engine.verified is None:
        return text
    error, tolerance = engine.verified.max_error, engine.verified.tolerance
    return f"{text}, {error:.0f} of {tolerance:.0f} levels off its {engine.verified.reference}"


def measure_engine(
    engine: Engine, bundle: Bundle, variant: Variant, session: Session
) -> tuple[str, Parity]:
    """Fuse on the engine's ``session`` -> what it is compared with, and how far it is from that.

    The golden pair is the reference; an engine of the dynamic variant has another size than that
    and is compared with ONNX Runtime on the CPU, on a drawn scene, under the same tolerance.
    """
    if variant.height is None:
        return ON_THE_CPU, _compare_with_cpu(engine, bundle, variant, session)
    return GOLDEN, measure_golden(bundle, variant, session)


def _compare_with_cpu(engine: Engine, bundle: Bundle, variant: Variant, session: Session) -> Parity:
    from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import start_variant

    scene = draw_scene(*engine.size)
    fused = session.fuse(scene.visible, scene.infrared)
    with start_variant(bundle, variant) as reference:
        expected = reference.fuse(scene.visible, scene.infrared)
    tolerance = float(variant.golden.tolerance_levels)
    return measure_parity(fused, expected, data_range=255, tolerance=tolerance)
