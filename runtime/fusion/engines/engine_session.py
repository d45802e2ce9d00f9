"""open_engine_session: variant -> engine, plugin, session, parity; in this order and no other."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import cast

from mgdn_edge.plugins.tensorrt_plugin import Tensorrt, TensorrtPluginError, load_plugin
from mgdn_edge.runtime.bundle.manifest import Variant
from mgdn_edge.runtime.bundle.reader import Bundle
from mgdn_edge.runtime.errors import DeviceError
from mgdn_edge.runtime.fusion.contract.backend_names import FilterChoice
from mgdn_edge.runtime.fusion.contract.opened_session import OpenedSession
from mgdn_edge.runtime.fusion.contract.session import Session
from mgdn_edge.runtime.fusion.engines.engine_cache import EngineCache
from mgdn_edge.runtime.fusion.engines.engine_parity import open_compared
from mgdn_edge.runtime.fusion.engines.engine_plan import (
    DEFAULT_BUILDER,
    find_builder,
    plan_engine,
    target_device,
)
from mgdn_edge.runtime.fusion.engines.obtain_engine import Engine, free_memory, obtain_engine
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.picture.frame import Size

StartSession = Callable[[Engine, ModuleType], Session]


def open_engine_session(
    bundle: Bundle,
    variant: Variant,
    start: StartSession,
    *,
    cache: EngineCache,
    size: Size | None = None,
    filter: FilterChoice | None = None,
    cached_only: bool = False,
    progress: Progress = SILENT,
) -> OpenedSession:
    """A session on the device whose first picture was compared with the bundle's.

    ``start(engine, tensorrt)`` deserialises; the rest as for prepare_engine.
    """
    engine, tensorrt = prepare_engine(
        bundle,
        variant,
        cache=cache,
        size=size,
        filter=filter,
        cached_only=cached_only,
        progress=progress,
    )
    return open_compared(engine, cache, bundle, variant, lambda given: start(given, tensorrt))


def prepare_engine(
    bundle: Bundle,
    variant: Variant,
    *,
    cache: EngineCache,
    size: Size | None = None,
    filter: FilterChoice | None = None,
    cached_only: bool = False,
    progress: Progress = SILENT,
) -> tuple[Engine, ModuleType]:
    """The engine, its plugin registered, and the module that can deserialise it.

    The engine is built where none is cached, see obtain_engine for the options. UserError or
    DeviceError.
    """
    builder = find_builder(DEFAULT_BUILDER)
    device = target_device(builder)
    plan = plan_engine(
        bundle,
        variant,
        builder=builder,
        device=device,
        size=size,
        filter=filter,
    )
    engine = obtain_engine(
        plan,
        cache,
        free=free_memory(device.integrated),
        cached_only=cached_only,
        progress=progress,
    )
    tensorrt = importlib.import_module(builder.module)
    if engine.plugin is not None:
        register_plugin(tensorrt, engine)
    return engine, tensorrt


def register_plugin(tensorrt: ModuleType, engine: Engine) -> None:
    """Register the library the engine was built with, of that very digest, in this process."""
    try:
        # A module has what the protocol asks for; mypy cannot see into it.
        load_plugin(cast(Tensorrt, tensorrt), engine.plugin, engine.key.plugin_sha256)
    except TensorrtPluginError as error:
        raise DeviceError(f"the engine's plugin cannot be loaded: {error}") from error
