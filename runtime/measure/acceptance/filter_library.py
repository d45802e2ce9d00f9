"""check_operations: the library a backend computes DynamicFilter with, checked and loaded."""

from __future__ import annotations

import importlib
from typing import cast

from mgdn_edge.plugins.native import NativeLibraryError, best_implementation, find_library
from mgdn_edge.plugins.tensorrt_plugin import (
    ABI_VERSION,
    Tensorrt,
    TensorrtPluginError,
    load_plugin,
)
from mgdn_edge.runtime.bundle.graph_facts import GraphFacts
from mgdn_edge.runtime.errors import DeviceError
from mgdn_edge.runtime.fusion.contract.backend_names import TENSORRT_BACKEND
from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
from mgdn_edge.runtime.fusion.engines.engine_plan import DEFAULT_BUILDER, find_builder
from mgdn_edge.runtime.measure.acceptance.verdict import NotMeasured

FILTER = "mgdn::DynamicFilter"
SHOWN_DIGITS = 12  # of a digest


def has_filter(facts: GraphFacts) -> bool:
    """Whether the network computes DynamicFilter at all."""
    return any(node.operator == FILTER for node in facts.nodes)


def check_operations(choice: SessionChoice) -> str:
    """Load what the choice's backend filters with -> a clause saying what it is.

    TensorRT's plugin goes through TensorRT's own registry. DeviceError where it is missing or
    refused, NotMeasured where a backend runs without the library it could have.
    """
    if choice.filter == "body":
        raise NotMeasured("not used: --filter body asks for standard operators")
    if choice.backend == TENSORRT_BACKEND:
        tensorrt = importlib.import_module(find_builder(DEFAULT_BUILDER).module)
        try:
            # A module has what the protocol asks for; mypy cannot see into it.
            plugin = load_plugin(cast(Tensorrt, tensorrt))
        except TensorrtPluginError as error:
            raise DeviceError(str(error)) from error
        return (
            f"{plugin.path.name} (ABI {ABI_VERSION}, sha256 {plugin.sha256[:SHOWN_DIGITS]}) is "
            f"registered with TensorRT {tensorrt.__version__}"
        )
    path = find_library()
    if path is None:
        raise NotMeasured("no native library; filters run as standard operators, slower")
    try:
        return f"{path.name} loads and uses {best_implementation().name}"
    except NativeLibraryError as error:
        raise DeviceError(str(error)) from error
