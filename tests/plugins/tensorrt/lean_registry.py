"""What NVIDIA's plugin registry makes of a library, as JSON: lean_registry.py FOLDER LIBRARY.

FOLDER holds one version of the lean runtime; a process can have one only. With a third word, the
library's sha256, it goes through load_plugin instead.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
import numpy as np
import tensorrt_lean_bindings as tensorrt

from mgdn_edge.plugins.tensorrt_plugin import TensorrtPluginError, load_plugin

FIELD = tensorrt.PluginFieldType
KINDS = {np.int32: FIELD.INT32, np.int64: FIELD.INT64, np.float32: FIELD.FLOAT32}


def names_of(creator):
    return None if creator is None else [creator.name, creator.plugin_version, field_names(creator)]


def field_names(creator):
    return [[field.name, field.type.name] for field in creator.field_names]


def make_plugin(creator, phase, dtype=np.int32, **fields):
    """Kinds and versions of a plugin's interfaces, None where the creator refuses the fields."""
    collection = tensorrt.PluginFieldCollection(
        [
            tensorrt.PluginField(name, np.array(values, dtype), KINDS[dtype])
            for name, values in fields.items()
        ]
    )
    plugin = creator.create_plugin("node", collection, phase)
    if plugin is None:
        return None
    kinds = tensorrt.PluginCapabilityType
    core, build, runtime = map(
        plugin.get_capability_interface, (kinds.CORE, kinds.BUILD, kinds.RUNTIME)
    )
    parts = [plugin, core, build, runtime]
    return {
        "interfaces": [[part.interface_info.kind, part.interface_info.major] for part in parts],
        "languages": sorted({part.api_language.name for part in parts}),
        "names": [core.plugin_name, core.plugin_version, core.plugin_namespace],
    }


def probe(library):
    registry = tensorrt.get_plugin_registry()
    before = registry.get_creator("DynamicFilter", "1", "mgdn")
    handle = registry.load_library(library)
    found = {
        "version": tensorrt.__version__,
        "before": names_of(before),
        "loaded": handle is not None,
    }
    if handle is None:
        return found
    found |= {
        "again": registry.load_library(library) is not None,
        "other_version": names_of(registry.get_creator("DynamicFilter", "2", "mgdn")),
        "creators": {},
    }
    phases = (tensorrt.TensorRTPhase.BUILD, tensorrt.TensorRTPhase.RUNTIME)
    for namespace in ("mgdn", ""):
        creator = registry.get_creator("DynamicFilter", "1", namespace)
        found["creators"][namespace] = {
            "names": names_of(creator),
            "made": [make_plugin(creator, p, kernel_size=[5], upscale=[4]) for p in phases],
            "default": [make_plugin(creator, p, kernel_size=[3]) for p in phases],
            "refused": [
                made
                for p in phases
                for made in (
                    make_plugin(creator, p, kernel_size=[4]),
                    make_plugin(creator, p, kernel_size=[5], upscale=[3]),
                    make_plugin(creator, p, kernel_size=[5, 5]),
                    make_plugin(creator, p, np.int64, kernel_size=[5]),
                    make_plugin(creator, p, np.float32, kernel_size=[5]),
                    make_plugin(creator, p, upscale=[4]),
                    make_plugin(creator, p, kernel_size=[5], group=[1]),
                )
            ],
        }
    registry.deregister_library(handle)
    found["after"] = names_of(registry.get_creator("DynamicFilter", "1", "mgdn"))
    registry.load_library(library)
    found["reloaded"] = names_of(registry.get_creator("DynamicFilter", "1", "mgdn"))
    return found


def load(library, sha256):
    try:
        plugins = [load_plugin(tensorrt, Path(library), sha256) for _ in range(2)]
    except TensorrtPluginError as error:
        return {"error": str(error)}
    creator = tensorrt.get_plugin_registry().get_creator("DynamicFilter", "1", "mgdn")
    return {
        "same": plugins[0] == plugins[1],
        "path": str(plugins[0].path),
        "made": make_plugin(creator, tensorrt.TensorRTPhase.RUNTIME, kernel_size=[5]),
    }


if __name__ == "__main__":
    print(json.dumps(load(*sys.argv[2:]) if len(sys.argv) > 3 else probe(sys.argv[2])))
