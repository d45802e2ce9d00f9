"""EngineKey: everything an engine depends on; two equal keys may share one engine.

TensorRT itself checks little of this: an engine of another GPU of the same family loads and runs
slowly, one built with another plugin library loads and may compute something else.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

FilterMode = Literal["plugin", "body", "none"]


class BuildOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a user may choose about a build.

    ``workspace_mib`` bounds the scratch memory of one layer; a constant and not a share of what is
    free now, because it belongs to the key. ``tf32`` lets float32 be computed with 10-bit
    mantissas. ``optimization_level`` is TensorRT's, 0 (quick) to 5 (slow build).
    """

    workspace_mib: int = 1024
    tf32: bool = False
    optimization_level: int = 3


class EngineKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Model, plugin, device, software and options of one engine.

    ``filter`` says what computes DynamicFilter: the plugin, the file's function body, or nothing
    because the network has none; ``plugin_abi`` and ``plugin_sha256`` are 0 and empty without
    plugin. Sizes are pixels of the frames the engine takes. ``recipe`` is RECIPE.
    """

    model_sha256: str
    filter: FilterMode
    plugin_abi: int
    plugin_sha256: str
    height: int
    width: int
    precision: str
    recipe: int
    builder: str
    builder_version: str
    gpu: str
    compute_capability: str
    sm_count: int
    driver: str
    cuda_driver: str
    cuda_runtime: str
    l4t: str
    workspace_mib: int
    tf32: bool
    optimization_level: int


# How messages name a field; a test asks that every field has a name.
FIELD_NAMES = {
    "model_sha256": "model digest",
    "filter": "filter",
    "plugin_abi": "plugin ABI",
    "plugin_sha256": "plugin digest",
    "height": "height",
    "width": "width",
    "precision": "precision",
    "recipe": "build recipe",
    "builder": "builder",
    "builder_version": "builder version",
    "gpu": "GPU",
    "compute_capability": "compute capability",
    "sm_count": "SM count",
    "driver": "driver version",
    "cuda_driver": "CUDA of the driver",
    "cuda_runtime": "CUDA runtime",
    "l4t": "L4T release",
    "workspace_mib": "workspace in MiB",
    "tf32": "TF32",
    "optimization_level": "optimization level",
}
# An engine that differs here is another device's.
DEVICE_FIELDS = ("gpu", "compute_capability", "sm_count")
# What measured times of tactics hold for.
TIMING_FIELDS = (*DEVICE_FIELDS, "builder", "builder_version", "driver", "cuda_driver", "l4t")
RECIPE = 1  # raised when build_network makes other engines of the same model and options
DEFAULT_OPTIONS = BuildOptions()
SHOWN_CHARACTERS = 12  # of a digest, in messages


class Difference(msgspec.Struct, frozen=True):
    """One field of two keys that is not the same; texts as shown to a user."""

    field: str
    wanted: str
    found: str

    def __str__(self) -> str:
        """Such as "GPU (wanted Orin, found NVIDIA Thor)"."""
        return f"{FIELD_NAMES[self.field]} (wanted {self.wanted}, found {self.found})"


def key_digest(key: EngineKey) -> str:
    """SHA-256 over all fields, in hexadecimal."""
    return hashlib.sha256(msgspec.json.encode(key)).hexdigest()


def timing_digest(key: EngineKey) -> str:
    """SHA-256 over the fields for which measured times of tactics hold."""
    values = [getattr(key, field) for field in TIMING_FIELDS]
    return hashlib.sha256(msgspec.json.encode(values)).hexdigest()


def key_differences(wanted: EngineKey, found: EngineKey) -> tuple[Difference, ...]:
    """The fields in which two keys differ, in the key's order."""
    return tuple(
        Difference(
            field, _shown(field, getattr(wanted, field)), _shown(field, getattr(found, field))
        )
        for field in EngineKey.__struct_fields__
        if getattr(wanted, field) != getattr(found, field)
    )


def _shown(field: str, value: object) -> str:
    text = str(value) if not isinstance(value, bool) else "on" if value else "off"
    if field.endswith("sha256"):
        text = text[:SHOWN_CHARACTERS]
    return text or "none"
