"""One table: a backend's name -> what opens a variant on it and compares its first picture.

A backend is imported when it is opened: each needs packages the others do without.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from mgdn_edge.runtime.bundle.manifest import Variant
from mgdn_edge.runtime.bundle.reader import Bundle
from mgdn_edge.runtime.fusion.contract.backend_names import (
    CUDA_BACKEND,
    DEFAULT_BACKEND,
    TENSORRT_BACKEND,
)
from mgdn_edge.runtime.fusion.contract.golden_check import GOLDEN, measure_golden, refuse_golden
from mgdn_edge.runtime.fusion.contract.opened_session import OpenedSession
from mgdn_edge.runtime.fusion.contract.session import Session
from mgdn_edge.runtime.fusion.contract.session_choice import DEFAULT_CHOICE, SessionChoice
from mgdn_edge.runtime.machine.device import read_device
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.picture.frame import Size

OpenVariant = Callable[[Bundle, Variant, SessionChoice, Size | None, Progress], OpenedSession]


def open_variant(
    bundle: Bundle,
    variant: Variant,
    choice: SessionChoice = DEFAULT_CHOICE,
    *,
    size: Size | None = None,
    progress: Progress = SILENT,
) -> OpenedSession:
    """One variant on the choice's backend; the bundle may be closed afterwards.

    Of ``choice``, ``backend``, ``threads`` and ``filter`` count: the variant is chosen already.
    ``size`` (height, width) is what an engine of the dynamic variant will take; other backends
    need none. Where no engine is cached, it is built first, which takes minutes; ``progress``
    is told. UserError or DeviceError where there is no session to compare.
    """
    return BACKEND_TABLE[choice.backend or DEFAULT_BACKEND](bundle, variant, choice, size, progress)


def choose_gpu_backend() -> str:
    """TensorRT where an NVIDIA GPU is; DeviceError, saying what is missing, where none is."""
    read_device()
    return TENSORRT_BACKEND


def _open_onnxruntime_cpu(
    bundle: Bundle, variant: Variant, choice: SessionChoice, size: Size | None, progress: Progress
) -> OpenedSession:
    from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import start_variant

    def start() -> Session:
        return start_variant(bundle, variant, threads=choice.threads, filter=choice.filter)

    return _compare_golden(bundle, variant, start)


def _open_onnxruntime_cuda(
    bundle: Bundle, variant: Variant, choice: SessionChoice, size: Size | None, progress: Progress
) -> OpenedSession:
    from mgdn_edge.runtime.fusion.backends.onnxruntime_cuda import start_cuda_variant

    def start() -> Session:
        return start_cuda_variant(bundle, variant, filter=choice.filter)

    return _compare_golden(bundle, variant, start)


def _open_tensorrt(
    bundle: Bundle, variant: Variant, choice: SessionChoice, size: Size | None, progress: Progress
) -> OpenedSession:
    from mgdn_edge.runtime.fusion.engines.variant_engine import open_variant_engine

    return open_variant_engine(bundle, variant, size=size, filter=choice.filter, progress=progress)


BACKEND_TABLE: Mapping[str, OpenVariant] = {
    DEFAULT_BACKEND: _open_onnxruntime_cpu,
    CUDA_BACKEND: _open_onnxruntime_cuda,
    TENSORRT_BACKEND: _open_tensorrt,
}


def _compare_golden(
    bundle: Bundle, variant: Variant, start: Callable[[], Session]
) -> OpenedSession:
    begin = time.monotonic()
    session = start()
    try:
        parity = measure_golden(bundle, variant, session)
    except BaseException:
        session.close()
        raise
    return OpenedSession(
        session,
        GOLDEN,
        parity,
        f"opened in {time.monotonic() - begin:.1f} s",
        refuse_golden(bundle, variant, session, parity),
    )
