"""start_engine: an engine of the cache -> a session on TensorRT."""

from __future__ import annotations

from types import ModuleType

from mgdn_edge.runtime.fusion.backends.tensorrt import TensorrtSession
from mgdn_edge.runtime.fusion.contract.backend_names import FilterImplementation
from mgdn_edge.runtime.fusion.engines.obtain_engine import Engine


def start_engine(engine: Engine, tensorrt: ModuleType) -> TensorrtSession:
    """The session of an engine whose digest was checked and whose plugin is loaded."""
    filters: dict[str, FilterImplementation] = {"plugin": "native", "body": "function body"}
    return TensorrtSession(
        engine.data,
        tensorrt,
        network=engine.network,
        variant=engine.variant,
        precision=engine.key.precision,
        filter_implementation=filters.get(engine.key.filter),
    )
