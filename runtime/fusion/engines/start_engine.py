"""start_engine: an engine of the cache -> a session on TensorRT."""

from __future__ import annotations

from types import ModuleType

from mgdn_edge.runtime.fusion.backends.tensorrt import MIB, TensorrtSession
from mgdn_edge.runtime.fusion.contract.session import FilterImplementation
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


def describe_engine(engine: Engine) -> str:
    """Where an engine came from and how near it is to the bundle's picture, for reports."""
    told = (
        f"{engine.origin}, {len(engine.data) / MIB:.1f} MiB, made in {engine.build_seconds:.0f} s"
    )
    if engine.verified is None:
        return told
    error, tolerance = engine.verified.max_error, engine.verified.tolerance
    return f"{told}, {error:.0f} of {tolerance:.0f} levels off its {engine.verified.reference}"
