"""open_session: a network's name or a bundle's path -> a session ready to fuse."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mgdn_edge.runtime.bundle.manifest import Manifest, Variant
from mgdn_edge.runtime.bundle.network_names import BASELINES, find_bundle
from mgdn_edge.runtime.bundle.reader import Bundle, open_bundle
from mgdn_edge.runtime.errors import DeviceError, UserError
from mgdn_edge.runtime.fusion.backend_table import open_variant
from mgdn_edge.runtime.fusion.contract.backend_names import DEFAULT_BACKEND, check_backends
from mgdn_edge.runtime.fusion.contract.session import Session
from mgdn_edge.runtime.fusion.contract.session_choice import DEFAULT_CHOICE, SessionChoice
from mgdn_edge.runtime.fusion.contract.variant_choice import choose_variant
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.picture.frame import Size


def open_session(
    network: str | Path,
    choice: SessionChoice = DEFAULT_CHOICE,
    *,
    size: Size | None = None,
    progress: Progress = SILENT,
) -> Session:
    """A packaged network's name, a baseline's name or a path to a .mgdn file -> Session.

    ``size`` is (height, width) of the frames to come and picks the static variant of that size
    where there is one. What ``choice`` names is what is used, else UserError. A fallback fuses with
    the variant that is chosen for it as for any backend: the precision asked for or, where none
    was, its own default; a fallback for which the bundle has none is refused at once. That a
    fallback was taken is in the session's ``execution``. ``progress`` is told what takes time or is
    worth reading at once, such as why an engine is built. A bundle's golden pair has been fused and
    compared before this returns; the caller closes the session.
    """
    if network in BASELINES:
        return _open_baseline(str(network), choice)
    backend, fallback = choice.backend or DEFAULT_BACKEND, choice.fallback
    check_backends(backend, fallback, choice.threads)
    with open_bundle(find_bundle(network)) as bundle:
        variant = _choose(bundle.manifest, choice, size, backend)
        spare = None if fallback is None else _choose_spare(bundle.manifest, choice, size, fallback)
        try:
            return _trusted(bundle, variant, choice, size, progress)
        except DeviceError as error:
            if fallback is None or spare is None:
                raise _with_fallback(error, backend) from error
            other = "" if spare.precision == variant.precision else f", in {spare.precision}"
            text = f"{fallback} in place of {backend}{other}: {error}"
            progress.tell(text)
            taken = msgspec.structs.replace(choice, backend=fallback, fallback=None)
            session = _trusted(bundle, spare, taken, size, progress)
            session.execution["fallback"] = text
            return session


def _trusted(
    bundle: Bundle,
    variant: Variant,
    choice: SessionChoice,
    size: Size | None,
    progress: Progress,
) -> Session:
    session = open_variant(bundle, variant, choice, size=size, progress=progress).trust()
    session.stills_only = bundle.manifest.spec.output_range == "stretch"
    return session


def _choose(manifest: Manifest, choice: SessionChoice, size: Size | None, backend: str) -> Variant:
    return choose_variant(
        manifest, variant=choice.variant, precision=choice.precision, size=size, backend=backend
    )


def _choose_spare(
    manifest: Manifest, choice: SessionChoice, size: Size | None, fallback: str
) -> Variant:
    """The fallback's own variant; UserError where it has none, before anything is tried."""
    try:
        return _choose(manifest, choice, size, fallback)
    except UserError as error:
        instead = (
            f"leave out --precision {choice.precision} to let each backend take its own"
            if choice.precision
            else "leave it out"
        )
        raise UserError(f"--fallback {fallback} could not take over: {error}; {instead}") from error


def _with_fallback(error: DeviceError, backend: str) -> DeviceError:
    """The same, with the option that would go on without the device."""
    if backend == DEFAULT_BACKEND:
        return error
    way = f"to go on without: --fallback {DEFAULT_BACKEND}"
    return DeviceError(error.sentence, ways=[*error.ways, way])


def _open_baseline(name: str, choice: SessionChoice) -> Session:
    from mgdn_edge.runtime.fusion.backends.baselines import BaselineSession

    session = BaselineSession(name)
    for option in ("backend", "variant", "precision"):
        asked, offered = getattr(choice, option), getattr(session, option)
        if asked not in (None, offered):
            session.close()
            raise UserError(f"{name} has no {option} {asked}; it has only {offered}")
    return session
