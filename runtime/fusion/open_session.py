"""open_session: a network's name or a bundle's path -> a session ready to fuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mgdn_edge.runtime.bundle.manifest import Variant
from mgdn_edge.runtime.bundle.network_names import BASELINES, find_bundle
from mgdn_edge.runtime.bundle.reader import Bundle, open_bundle
from mgdn_edge.runtime.errors import DeviceError, UserError
from mgdn_edge.runtime.fusion.contract.backend_names import (
    CUDA_BACKEND,
    DEFAULT_BACKEND,
    TENSORRT_BACKEND,
    check_backends,
)
from mgdn_edge.runtime.fusion.contract.session import Session, Size
from mgdn_edge.runtime.fusion.contract.variant_choice import choose_variant


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
        from mgdn_edge.runtime.fusion.backends.onnxruntime_cuda import start_cuda_variant

        session = start_cuda_variant(bundle, variant, native=native)
    else:
        from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import start_variant

        session = start_variant(bundle, variant, threads=threads, native=native)
    try:
        check_golden(bundle, variant, session)
    except UserError:
        session.close()
        raise
    return session
