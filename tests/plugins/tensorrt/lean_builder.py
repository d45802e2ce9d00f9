"""NVIDIA's own plugin registry behind a builder that only looks at it, for one order of calls.

Stands for the module `tensorrt` in a build process; MGDN_LEAN names the folder of the lean
runtime. Its parser takes a model only where DynamicFilter's creator is registered by then.
"""

import os
import sys

sys.path.insert(0, os.environ["MGDN_LEAN"])
import tensorrt_lean_bindings as lean
from builder_standin import *  # noqa: F403
from builder_standin import OnnxParser as AnyParser

__version__ = lean.__version__
get_plugin_registry = lean.get_plugin_registry


class OnnxParser(AnyParser):
    def parse(self, model):
        names = {
            (creator.name, creator.plugin_version, creator.plugin_namespace)
            for creator in lean.get_plugin_registry().all_creators
        }
        return {("DynamicFilter", "1", "mgdn"), ("DynamicFilter", "1", "")} <= names
