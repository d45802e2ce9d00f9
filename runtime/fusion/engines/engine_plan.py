"""plan_engine: a bundle's variant on this device -> the file to build from and the engine's key."""

from __future__ import annotations

import hashlib
import importlib
import re
from pathlib import Path
from types import ModuleType

import msgspec

from mgdn_edge.plugins.tensorrt_plugin import ABI_VERSION, TensorrtPluginError, check_plugin
from mgdn_edge.runtime.bundle.graph_facts import GraphFacts, decode_graph_facts
from mgdn_edge.runtime.bundle.manifest import Variant
from mgdn_edge.runtime.bundle.onnx_file import rewrite_model
from mgdn_edge.runtime.bundle.reader import Bundle
from mgdn_edge.runtime.errors import DeviceError, UserError
from mgdn_edge.runtime.fusion.contract.backend_names import FilterChoice
from mgdn_edge.runtime.fusion.engines.engine_key import (
    DEFAULT_OPTIONS,
    RECIPE,
    BuildOptions,
    EngineKey,
    FilterMode,
)
from mgdn_edge.runtime.machine.device import NO_DEVICE, Device, read_device
from mgdn_edge.runtime.picture.frame import Size

# Name on the command line -> Python module. TensorRT-RTX makes engines without seeing a GPU.
BUILDERS = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx_bindings"}
DEFAULT_BUILDER = "tensorrt"
AHEAD_OF_TIME = "tensorrt-rtx"
INSTALL = {
    "tensorrt": "it comes with JetPack (in a virtual environment: python3 -m venv "
    "--system-site-packages), elsewhere: pip install tensorrt",
    "tensorrt-rtx": "pip install tensorrt-rtx-cu13-libs tensorrt-rtx-cu13-bindings",
}
OLDEST = (10, 3)  # of TensorRT, JetPack 6.1's
FILTER_OPERATION = b"DynamicFilter"  # protobuf keeps operator names as they are


class Builder(msgspec.Struct, frozen=True):
    """A builder that imports here: its name, Python module and version."""

    name: str
    module: str
    version: str


class EnginePlan(msgspec.Struct, frozen=True):
    """What would be built: verified, strictly read ONNX bytes and the key of their engine.

    ``plugin`` is the library to load before anything, None where none is used.
    """

    network: str
    variant: str
    model: bytes
    key: EngineKey
    module: str
    facts: GraphFacts
    plugin: Path | None

    @property
    def size(self) -> Size:
        """(height, width) of the frames."""
        return self.key.height, self.key.width


def find_builder(name: str = DEFAULT_BUILDER) -> Builder:
    """Import a builder by its name; DeviceError where it is not here, UserError for no name."""
    if name not in BUILDERS:
        raise UserError(f"builder {name!r} is unknown; known: {', '.join(BUILDERS)}")
    module = import_builder(BUILDERS[name], INSTALL[name])
    builder = Builder(name, module.__name__, str(module.__version__))
    parts = tuple(int(part) for part in re.findall(r"\d+", builder.version)[:2])
    if name == DEFAULT_BUILDER and parts < OLDEST:
        raise DeviceError(
            f"TensorRT {builder.version} is too old: {OLDEST[0]}.{OLDEST[1]} or newer is needed; "
            "install JetPack 6.1 or newer"
        )
    return builder


def import_builder(module: str, install: str) -> ModuleType:
    """A builder's module; DeviceError saying how to get it where it does not import."""
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:
        raise DeviceError(f"{module} does not import here ({error}); {install}") from error


def target_device(builder: Builder) -> Device:
    """The GPU here, or none where the builder makes engines ahead of time for several."""
    return NO_DEVICE if builder.name == AHEAD_OF_TIME else read_device()


def plan_engine(
    bundle: Bundle,
    variant: Variant,
    *,
    builder: Builder,
    device: Device,
    size: Size | None = None,
    options: BuildOptions = DEFAULT_OPTIONS,
    filter: FilterChoice | None = None,
) -> EnginePlan:
    """Read and check the file to build from, and the plugin; nothing is built or loaded.

    ``size`` (height, width) is needed for the dynamic variant, whose engine takes that size only.
    Unless ``filter`` is "body", a network that filters is built from its file without function
    bodies and needs the plugin library: DeviceError without it, never the body instead.
    """
    sides = _frame_size(variant, size)
    with_body = bundle.read(variant.file)
    plugin = None
    mode: FilterMode
    if FILTER_OPERATION not in with_body:
        mode, model = "none", with_body
    elif filter == "body":
        mode, model = "body", with_body
    else:
        try:
            plugin = check_plugin()
        except TensorrtPluginError as error:
            raise DeviceError(
                f"{bundle.manifest.name} needs the TensorRT plugin, and {error}; or pass "
                "--filter body to run its filters as standard operators, slower"
            ) from error
        mode, model = "plugin", bundle.read(variant.file_without_body)
    model = rewrite_model(model, f"variant {variant.name}")
    key = EngineKey(
        model_sha256=hashlib.sha256(model).hexdigest(),
        filter=mode,
        plugin_abi=ABI_VERSION if plugin else 0,
        plugin_sha256=plugin.sha256 if plugin else "",
        height=sides[0],
        width=sides[1],
        precision=variant.precision,
        recipe=RECIPE,
        builder=builder.name,
        builder_version=builder.version,
        gpu=device.gpu,
        compute_capability=device.compute_capability,
        sm_count=device.sm_count,
        driver=device.driver,
        cuda_driver=device.cuda_driver,
        cuda_runtime=device.cuda_runtime,
        l4t=device.l4t,
        workspace_mib=options.workspace_mib,
        tf32=options.tf32,
        optimization_level=options.optimization_level,
    )
    return EnginePlan(
        network=bundle.manifest.name,
        variant=variant.name,
        model=model,
        key=key,
        module=builder.module,
        facts=decode_graph_facts(bundle.read_graph_facts()),
        plugin=plugin.path if plugin else None,
    )


def _frame_size(variant: Variant, size: Size | None) -> Size:
    """(height, width) the engine will take; UserError where that is open or not the variant's."""
    if variant.height is None or variant.width is None:
        if size is None:
            raise UserError(
                f"variant {variant.name} takes any size but an engine takes one; "
                "pass --size WIDTHxHEIGHT"
            )
        return size
    if size not in (None, (variant.height, variant.width)):
        raise UserError(f"variant {variant.name} has its own size; leave --size out")
    return variant.height, variant.width
