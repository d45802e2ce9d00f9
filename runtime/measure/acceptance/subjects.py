"""Subjects: a precision at a size, the variant that serves it, its session and its parity."""

from __future__ import annotations

import time

import msgspec
from mgdn_edge.runtime.fusion.contract.backend_names import CUDA_BACKEND, TENSORRT_BACKEND

from mgdn_edge.runtime.bundle.manifest import Manifest, Variant
from mgdn_edge.runtime.bundle.reader import Bundle
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import start_variant
from mgdn_edge.runtime.fusion.backends.onnxruntime_cuda import start_cuda_variant
from mgdn_edge.runtime.fusion.contract.golden_check import measure_golden
from mgdn_edge.runtime.fusion.contract.session import Session, Size
from mgdn_edge.runtime.fusion.engines.engine_cache import Verification
from mgdn_edge.runtime.measure.acceptance.wish import Tell
from mgdn_edge.runtime.quality.parity import Parity

BASE_SIZE: Size = (480, 640)
SIZES: tuple[Size, ...] = ((512, 640), (720, 1280), BASE_SIZE)
REFERENCE_PRECISION = "fp32"  # runs on every backend
ORDER = (REFERENCE_PRECISION, "fp16", "int8")
GOLDEN = "golden pair"


class Subject(msgspec.Struct, frozen=True):
    """Frames of ``size`` (height, width) on ``variant``."""

    variant: Variant
    size: Size

    @property
    def precision(self) -> str:
        """The variant's."""
        return self.variant.precision

    @property
    def size_text(self) -> str:
        """WIDTHxHEIGHT."""
        return f"{self.size[1]}x{self.size[0]}"

    @property
    def label(self) -> str:
        """Such as "fp32 640x480"; clauses are named with it."""
        return f"{self.precision} {self.size_text}"

    @property
    def variant_text(self) -> str:
        """The variant's name, and what it means where it is not one of that size."""
        is_dynamic = self.variant.height is None
        name = self.variant.name
        return f"{name} (the bundle has none of this size)" if is_dynamic else name


class Opened(msgspec.Struct, frozen=True):
    """A session on a subject, its parity already measured but not judged."""

    session: Session
    reference: str
    parity: Parity
    told: str


def list_subjects(manifest: Manifest, backend: str) -> list[Subject]:
    """Every precision the bundle holds for ``backend`` at every size, the base size last.

    The variant is the static one of that size, else the dynamic one; a size that neither takes is
    left out. So the last subject is the lowest precision at the base size. UserError where none
    takes that.
    """
    found = []
    precisions = sorted({each.precision for each in manifest.variants}, key=ORDER.index)
    for size in SIZES:
        for precision in precisions:
            # Lower precisions are made for a backend each; float32 runs anywhere.
            usable = [
                each
                for each in manifest.variants
                if each.precision == precision
                and (precision == REFERENCE_PRECISION or backend in each.backends)
            ]
            exact = [each for each in usable if (each.height, each.width) == size]
            dynamic = [each for each in usable if each.height is None]
            found += [Subject(each, size) for each in (exact or dynamic)[:1]]
    if not found or found[-1].size != BASE_SIZE:
        offered = ", ".join(f"{each.name} ({each.precision})" for each in manifest.variants)
        raise UserError(
            f"{manifest.name} has no variant for {BASE_SIZE[1]}x{BASE_SIZE[0]} on {backend}; it "
            f"has: {offered}; create the bundle with a dynamic one"
        )
    return found


def open_subject(
    bundle: Bundle, subject: Subject, backend: str, threads: int | None, tell: Tell
) -> Opened:
    """Open the subject on ``backend`` and compare its picture; the caller closes the session.

    An engine is built where none is cached. UserError or DeviceError where it cannot be opened.
    """
    if backend == TENSORRT_BACKEND:
        return _open_engine(bundle, subject, tell)
    begin = time.monotonic()
    variant = subject.variant
    session: Session
    if backend == CUDA_BACKEND:
        session = start_cuda_variant(bundle, variant)
    else:
        session = start_variant(bundle, variant, threads=threads)
    try:
        parity = measure_golden(bundle, variant, session)
    except BaseException:
        session.close()
        raise
    told = f"opened in {time.monotonic() - begin:.1f} s"
    return Opened(session, GOLDEN, parity, _describe(session, subject, told))


def _open_engine(bundle: Bundle, subject: Subject, tell: Tell) -> Opened:
    from mgdn_edge.runtime.fusion.engines.start_engine import describe_engine, start_engine

    from mgdn_edge.runtime.fusion.engines.engine_cache import EngineCache, cache_folder
    from mgdn_edge.runtime.fusion.engines.engine_parity import measure_engine
    from mgdn_edge.runtime.fusion.engines.engine_session import prepare_engine

    cache, variant = EngineCache(cache_folder()), subject.variant
    size = subject.size if variant.height is None else None
    engine, tensorrt = prepare_engine(bundle, variant, cache=cache, size=size, tell=tell)
    session = start_engine(engine, tensorrt)
    try:
        reference, parity = measure_engine(engine, bundle, variant, session)
    except BaseException:
        session.close()
        raise
    if parity.passed and engine.path is not None and engine.verified is None:
        verified = Verification(reference, parity.max_error, parity.tolerance, time.time())
        cache.mark_verified(engine.path, verified)
    notes = "".join(f"; {note}" for note in engine.notes)
    told = f"{describe_engine(engine)}, key {engine.key.builder_version}{notes}"
    return Opened(session, reference, parity, _describe(session, subject, told))


def _describe(session: Session, subject: Subject, told: str) -> str:
    filtered = f", {session.filter_implementation} filter" * bool(session.filter_implementation)
    return f"variant {subject.variant_text}{filtered}; {told}"
