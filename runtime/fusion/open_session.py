"""open_session: a network's name or a bundle's path -> a session ready to fuse."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mgdn_edge.runtime.bundle.manifest import Manifest, Variant
from mgdn_edge.runtime.bundle.reader import Bundle, open_bundle
from mgdn_edge.runtime.errors import DeviceError, UserError
from mgdn_edge.runtime.fusion.contract.session import Session, Size
from mgdn_edge.runtime.machine.processor import processor_class

if TYPE_CHECKING:
    from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import OnnxRuntimeSession
    from mgdn_edge.runtime.fusion.backends.onnxruntime_cuda import OnnxRuntimeCudaSession

BASELINES = ("average", "laplacian", "guided")
BUNDLE_SUFFIX = ".mgdn"
DEFAULT_BACKEND = "onnxruntime-cpu"
CUDA_BACKEND = "onnxruntime-cuda"
TENSORRT_BACKEND = "tensorrt"
BACKENDS = (DEFAULT_BACKEND, CUDA_BACKEND, TENSORRT_BACKEND)
PACKAGED_FOLDER = Path(__file__).parents[1] / "bundles"


def list_networks() -> list[str]:
    """Names ``open_session`` knows: packaged bundles first, then the classical baselines."""
    return [*sorted(packaged_bundles()), *BASELINES]


def open_session(
    network: str | Path,
    *,
    backend: str | None = None,
    variant: str | None = None,
    precision: str | None = None,
    size: Size | None = None,
    threads: int | None = None,
    native: bool | None = None,
    fallback: str | None = None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Session:
    """A packaged network's name, a baseline's name or a path to a .mgdn file -> Session.

    ``size`` is (height, width) of the frames to come and picks the static variant of that size
    where there is one. What is asked for by name is what is used, else UserError. ``native``
    True needs the native DynamicFilter, False leaves it out, None takes it where installed.
    ``fallback`` is the backend to take where the device cannot serve ``backend``; the session's
    ``execution`` then says so. ``tell`` gets sentences worth reading at once, such as why an
    engine is built. A bundle's golden pair has been fused and compared before this
    returns; the caller closes the session.
    """
    if network in BASELINES:
        return _open_baseline(str(network), backend, variant, precision)
    backend = backend or DEFAULT_BACKEND
    check_backends(backend, fallback, threads)
    with open_bundle(find_bundle(network)) as bundle:
        chosen = choose_variant(
            bundle.manifest, variant=variant, precision=precision, size=size, backend=backend
        )
        try:
            return open_variant(
                bundle,
                chosen,
                backend=backend,
                size=size,
                threads=threads,
                native=native,
                tell=tell,
            )
        except DeviceError as error:
            if fallback is None:
                raise _with_fallback(error, backend) from error
            tell(f"{fallback} in place of {backend}: {error}")
            session = open_variant(bundle, chosen, backend=fallback, size=size, native=native)
            session.execution["fallback"] = f"{fallback} in place of {backend}: {error}"
            return session


def _with_fallback(error: DeviceError, backend: str) -> DeviceError:
    """The same, with the option that would go on without the device."""
    if backend == DEFAULT_BACKEND:
        return error
    return DeviceError(f"{error}; to go on without: --fallback {DEFAULT_BACKEND}")


def check_backends(backend: str, fallback: str | None, threads: int | None) -> None:
    """UserError where a backend is unknown or ``threads`` does not belong to it."""
    for option, name in (("--backend", backend), ("--fallback", fallback)):
        if name not in (None, *BACKENDS):
            close = difflib.get_close_matches(str(name), BACKENDS, 1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise UserError(f"{option} {name} is unknown; {hint}known: {', '.join(BACKENDS)}")
    if threads is not None and backend != DEFAULT_BACKEND:
        raise UserError(
            f"--threads {threads} is for the CPU and {backend} fuses on the GPU; leave it out or "
            f"pass --backend {DEFAULT_BACKEND}"
        )


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
    offered = ", ".join(f"{each.name} ({each.precision})" for each in manifest.variants)
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


def _open_baseline(
    name: str, backend: str | None, variant: str | None, precision: str | None
) -> Session:
    from mgdn_edge.runtime.fusion.backends.baselines import BaselineSession

    session = BaselineSession(name)
    given = {"backend": backend, "variant": variant, "precision": precision}
    for option, asked in given.items():
        offered = getattr(session, option)
        if asked not in (None, offered):
            session.close()
            raise UserError(f"{name} has no {option} {asked}; it has only {offered}")
    return session


def open_variant(
    bundle: Bundle,
    variant: Variant,
    *,
    backend: str = DEFAULT_BACKEND,
    size: Size | None = None,
    threads: int | None = None,
    native: bool | None = None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Session:
    """One variant, its golden pair checked; the bundle may be closed afterwards.

    ``size`` (height, width) is what an engine of the dynamic variant will take; other backends
    need none. Where no engine is cached, it is built first, which takes minutes.
    """
    from mgdn_edge.runtime.fusion.contract.golden_check import check_golden

    if backend == TENSORRT_BACKEND:
        from mgdn_edge.runtime.fusion.engines.variant_engine import open_variant_engine

        return open_variant_engine(bundle, variant, size=size, native=native, tell=tell)
    session: Session
    if backend == CUDA_BACKEND:
        session = start_cuda_variant(bundle, variant, native=native)
    else:
        session = start_variant(bundle, variant, threads=threads, native=native)
    try:
        check_golden(bundle, variant, session)
    except UserError:
        session.close()
        raise
    return session


def start_variant(
    bundle: Bundle,
    variant: Variant,
    *,
    threads: int | None = None,
    native: bool | None = None,
    trace: Path | None = None,
) -> OnnxRuntimeSession:
    """One variant on ONNX Runtime's CPU provider, its golden pair not yet fused.

    ``trace`` is where its profiler writes, see OnnxRuntimeSession.
    """
    from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import OnnxRuntimeSession

    session = OnnxRuntimeSession(
        bundle.read(variant.file),
        spec=bundle.manifest.spec,
        variant=variant.name,
        precision=variant.precision,
        size=_static_size(variant),
        threads=threads,
        native=native,
        trace=trace,
    )
    session.network = bundle.manifest.name
    return session


def start_cuda_variant(
    bundle: Bundle, variant: Variant, *, native: bool | None = None
) -> OnnxRuntimeCudaSession:
    """One variant on ONNX Runtime's CUDA provider, its golden pair not yet fused."""
    from mgdn_edge.runtime.fusion.backends.onnxruntime_cuda import OnnxRuntimeCudaSession

    session = OnnxRuntimeCudaSession(
        bundle.read(variant.file),
        spec=bundle.manifest.spec,
        variant=variant.name,
        precision=variant.precision,
        size=_static_size(variant),
        native=native,
    )
    session.network = bundle.manifest.name
    return session


def _static_size(variant: Variant) -> Size | None:
    if variant.height is None or variant.width is None:
        return None
    return variant.height, variant.width


def find_bundle(network: str | Path) -> Path:
    """A packaged network's name or a .mgdn path -> the bundle; UserError for a baseline."""
    if network in BASELINES:
        raise UserError(
            f"{network} is a classical baseline: it has no bundle and no graph of nodes; to time "
            f"it as a whole: mgdn bench --network {network}"
        )
    if Path(network).suffix == BUNDLE_SUFFIX:
        return Path(network)
    packaged = packaged_bundles().get(str(network))
    if packaged is None:
        raise UserError(_unknown_network(str(network)))
    return packaged


def packaged_bundles() -> dict[str, Path]:
    """Bundles that came with the package, by name."""
    return {path.stem: path for path in PACKAGED_FOLDER.glob(f"*{BUNDLE_SUFFIX}")}


def _unknown_network(name: str) -> str:
    known = list_networks()
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}? " if close else ""
    return (
        f"network {name!r} is unknown; {hint}known: {', '.join(known)}, "
        f"or the path of a {BUNDLE_SUFFIX} file"
    )
