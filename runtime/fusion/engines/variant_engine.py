"""open_variant_engine: a bundle's variant on TensorRT, on an engine from the user's cache."""

from __future__ import annotations

from mgdn_edge.runtime.bundle.manifest import Variant
from mgdn_edge.runtime.bundle.reader import Bundle
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.contract.backend_names import FilterChoice
from mgdn_edge.runtime.fusion.contract.opened_session import OpenedSession
from mgdn_edge.runtime.fusion.engines import engine_session
from mgdn_edge.runtime.fusion.engines.engine_cache import EngineCache, cache_folder
from mgdn_edge.runtime.fusion.engines.start_engine import start_engine
from mgdn_edge.runtime.machine.progress import Progress
from mgdn_edge.runtime.picture.frame import Size


def open_variant_engine(
    bundle: Bundle,
    variant: Variant,
    *,
    size: Size | None,
    filter: FilterChoice | None,
    progress: Progress,
) -> OpenedSession:
    """A session whose ``execution`` says where its engine came from; the caller closes it.

    ``size`` (height, width) is what an engine of the dynamic variant takes; ``filter`` "body"
    leaves the plugin out; ``progress`` is told of a build. UserError or DeviceError.
    """
    if variant.height is None and size is None:
        raise UserError(
            f"the frames have no common size, and an engine of {bundle.manifest.name} takes one; "
            "fuse those of each size by themselves, or pass --backend onnxruntime-cpu"
        )
    return engine_session.open_engine_session(
        bundle,
        variant,
        start_engine,
        cache=EngineCache(cache_folder()),
        size=size if variant.height is None else None,
        filter=filter,
        progress=progress,
    )
