"""BundleWriter: every bundle is written by it, a new one and one that variants are added to.

Equal contents give equal bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from mgdn_edge import __version__
from mgdn_edge.runtime.bundle.archive import encode_archive
from mgdn_edge.runtime.bundle.export_record import Precision
from mgdn_edge.runtime.bundle.fusion_spec import FusionSpec
from mgdn_edge.runtime.bundle.manifest import (
    MANIFEST_FILE,
    FileRef,
    GoldenPair,
    Manifest,
    Variant,
    decode_manifest,
    encode_manifest,
)
from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import OnnxRuntimeSession
from mgdn_edge.runtime.fusion.contract.golden_check import encode_plane
from mgdn_edge.runtime.picture.drawn_scene import draw_scene
from mgdn_edge.runtime.picture.frame import Size
from mgdn_edge.runtime.whole_file import Output

# Odd on purpose: padding and cropping of a dynamic graph are part of what is checked.
DYNAMIC_GOLDEN_SIZE: Size = (101, 131)
CREATED_BY = f"mgdn-edge {__version__}"


class BundleWriter:
    """Paths and contents of a bundle of networks of ``spec``, which ``files`` begin."""

    def __init__(self, spec: FusionSpec, files: Mapping[str, bytes]) -> None:
        self._spec = spec
        self._files = dict(files)

    def refer(self, path: str) -> FileRef:
        """The reference to one of the files."""
        data = self._files[path]
        return FileRef(path=path, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))

    def add_variant(
        self,
        stem: str,
        model: bytes,
        model_without_body: bytes,
        *,
        name: str,
        size: Size | None,
        precision: Precision,
        backends: tuple[str, ...],
        tolerance_levels: int,
    ) -> Variant:
        """Add both graphs and the scene that the first fuses here, in files that ``stem`` begins.

        ``size`` is (height, width), None for graphs of dynamic size; ``tolerance_levels`` is what
        the golden pair may differ by elsewhere. UserError where the graph is refused.
        """
        files = self._files
        files[f"models/{stem}.onnx"] = model
        files[f"models/{stem}.plugin.onnx"] = model_without_body
        scene = draw_scene(*(size or DYNAMIC_GOLDEN_SIZE))
        with OnnxRuntimeSession(
            model, spec=self._spec, variant=name, precision=precision, size=size
        ) as session:
            fused = session.fuse(scene.visible, scene.infrared)
        golden = {"visible": scene.visible, "infrared": scene.infrared, "expected": fused}
        for role, plane in golden.items():
            files[f"golden/{stem}.{role}.png"] = encode_plane(plane)
        height, width = size or (None, None)
        return Variant(
            name=name,
            file=self.refer(f"models/{stem}.onnx"),
            file_without_body=self.refer(f"models/{stem}.plugin.onnx"),
            height=height,
            width=width,
            precision=precision,
            backends=backends,
            golden=GoldenPair(
                **{role: self.refer(f"golden/{stem}.{role}.png") for role in golden},
                tolerance_levels=tolerance_levels,
            ),
        )

    def write(self, output: Output, manifest: Manifest) -> None:
        """All files below ``manifest`` -> ``output``."""
        text = encode_manifest(manifest)
        decode_manifest(text)  # a bundle we would refuse to open is not written
        output.write(encode_archive({MANIFEST_FILE: text, **self._files}))


def tool_versions(tools: Mapping[str, str]) -> dict[str, str]:
    """Versions of tools, and of ONNX Runtime, which fused the golden pairs."""
    import onnxruntime

    return {**tools, "onnxruntime": str(onnxruntime.__version__)}
