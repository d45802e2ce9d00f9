"""obtain_engine: the cached engine of a plan, or a new one, or one sentence why not."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import msgspec

from mgdn_edge.runtime.errors import DeviceError
from mgdn_edge.runtime.fusion.engines.build_process import Construction, run_build
from mgdn_edge.runtime.fusion.engines.build_progress import follow_build
from mgdn_edge.runtime.fusion.engines.build_protocol import BuildRequest
from mgdn_edge.runtime.fusion.engines.engine_cache import (
    CachedEngine,
    EngineCache,
    Miss,
    Verification,
    new_record,
)
from mgdn_edge.runtime.fusion.engines.engine_key import EngineKey
from mgdn_edge.runtime.fusion.engines.engine_plan import EnginePlan
from mgdn_edge.runtime.fusion.engines.memory_need import (
    MIB,
    available_memory,
    check_memory,
    describe_memory,
    estimate_need,
)
from mgdn_edge.runtime.fusion.engines.timing_cache import read_timings, timing_path, write_timings
from mgdn_edge.runtime.machine.device import free_gpu_memory
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.picture.frame import Size

Origin = Literal["cached", "built"]


class FreeMemory(msgspec.Struct, frozen=True):
    """Where to ask for free bytes; ``gpu`` None where the GPU uses the board's memory."""

    host: Callable[[], int | None] = available_memory
    gpu: Callable[[], int] | None = None


class Engine(msgspec.Struct, frozen=True):
    """A serialized engine whose digest was checked, for frames of ``size`` (height, width).

    ``plugin`` is the library whose digest is in ``key``: load it (``load_plugin``) before
    deserialising ``data``. ``path`` is None where the cache could not keep the engine.
    ``verified`` is the parity once seen, None before. ``notes`` are sentences for the user.
    """

    data: bytes
    key: EngineKey
    network: str
    variant: str
    origin: Origin
    build_seconds: float
    path: Path | None
    plugin: Path | None
    verified: Verification | None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> Size:
        """(height, width) of the frames it takes."""
        return self.key.height, self.key.width


def free_memory(integrated: bool) -> FreeMemory:
    """Free memory of this machine, for a GPU that shares it or has its own."""
    return FreeMemory(gpu=None if integrated else free_gpu_memory)


def obtain_engine(
    plan: EnginePlan,
    cache: EngineCache,
    *,
    free: FreeMemory,
    cached_only: bool = False,
    ignore_memory: bool = False,
    progress: Progress = SILENT,
) -> Engine:
    """The engine of exactly ``plan.key``; built in a subprocess and kept where there is none.

    ``progress`` is told why an engine is built, what is waited for, and how far the build is.
    ``cached_only`` builds nothing. DeviceError (exit code 3) with one sentence where there is
    no engine: nothing usable cached, too little memory, a killed or failed build.
    """
    found = cache.find(plan.network, plan.variant, plan.key)
    if isinstance(found, CachedEngine):
        return _from_cache(plan, found)
    if cached_only:
        raise DeviceError(f"no cached engine fits: {found.reason}; run: mgdn build")
    progress.tell(f"building an engine: {found.reason}")
    with ExitStack() as held:
        problem = ""
        try:
            held.enter_context(cache.lock(progress))
        except OSError as error:
            problem = _not_kept(cache, error)
            progress.tell(problem)
        # Another process may have built it while this one waited.
        found = cache.find(plan.network, plan.variant, plan.key)
        if isinstance(found, CachedEngine):
            return _from_cache(plan, found)
        engine, made = _build(plan, cache, found, free, ignore_memory, progress)
        path = None
        if not problem:
            path, problem = _keep(plan, cache, engine, made)
    notes = (*engine.notes, problem) if problem else engine.notes
    return msgspec.structs.replace(engine, path=path, notes=notes)


def _build(
    plan: EnginePlan,
    cache: EngineCache,
    miss: Miss,
    free: FreeMemory,
    ignore_memory: bool,
    progress: Progress,
) -> tuple[Engine, Construction]:
    """Check memory and build; nothing is written into the cache."""
    need = estimate_need(
        plan.facts, plan.size, len(plan.model), plan.key.workspace_mib * MIB, plan.key.filter
    )
    host, gpu = free.host(), free.gpu() if free.gpu else None
    if not ignore_memory:
        check_memory(need, host, gpu)
    known, note = read_timings(timing_path(cache.folder, plan.key))
    title = f"{plan.network} {plan.key.width}x{plan.key.height}"
    expected = miss.nearest.build_seconds if miss.nearest else None
    started = time.monotonic()
    follow = follow_build(progress, title, expected)
    try:
        made = run_build(
            _request(plan), plan.model, known, follow, describe_memory(need, host, gpu)
        )
    finally:
        progress.done()
    engine = Engine(
        data=made.engine,
        key=plan.key,
        network=plan.network,
        variant=plan.variant,
        origin="built",
        build_seconds=time.monotonic() - started,
        path=None,
        plugin=plan.plugin,
        verified=None,
        notes=(note, *made.notes) if note else made.notes,
    )
    return engine, made


def _keep(
    plan: EnginePlan, cache: EngineCache, engine: Engine, made: Construction
) -> tuple[Path | None, str]:
    """(where the engine is kept, why not): a full disk must not cost a finished build."""
    record = new_record(
        engine.data,
        network=plan.network,
        variant=plan.variant,
        key=plan.key,
        seconds=engine.build_seconds,
        layers=made.layers,
    )
    try:
        if made.timings:
            write_timings(timing_path(cache.folder, plan.key), made.timings)
        return cache.store(engine.data, record), ""
    except OSError as error:
        return None, _not_kept(cache, error)


def _from_cache(plan: EnginePlan, found: CachedEngine) -> Engine:
    return Engine(
        data=found.data,
        key=plan.key,
        network=plan.network,
        variant=plan.variant,
        origin="cached",
        build_seconds=found.record.build_seconds,
        path=found.path,
        plugin=plan.plugin,
        verified=found.record.verified,
    )


def _request(plan: EnginePlan) -> BuildRequest:
    key = plan.key
    return BuildRequest(
        module=plan.module,
        height=key.height,
        width=key.width,
        workspace_bytes=key.workspace_mib * MIB,
        tf32=key.tf32,
        optimization_level=key.optimization_level,
        plugin=str(plan.plugin or ""),
        plugin_sha256=key.plugin_sha256,
    )


def _not_kept(cache: EngineCache, error: OSError) -> str:
    return (
        f"the engine is not kept: {cache.folder} cannot be written ({error.strerror}); "
        "name a folder that can with MGDN_CACHE, or each start builds again"
    )
