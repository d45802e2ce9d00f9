"""verify_bundle: every digest, then every graph and every golden pair."""

from pathlib import Path

import msgspec

from mgdn_edge.runtime.bundle.manifest import variant_label
from mgdn_edge.runtime.bundle.onnx_file import rewrite_model
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import start_variant
from mgdn_edge.runtime.fusion.contract.golden_check import check_golden
from mgdn_edge.runtime.quality.parity import Parity


class VerifiedBundle(msgspec.Struct, frozen=True):
    """A bundle that passed: how many files fit their digests, the parity of each variant."""

    bundle: str
    name: str
    files: int
    golden: dict[str, Parity]


def verify_bundle(path: Path) -> VerifiedBundle:
    """Check all digests first, then fuse each variant's golden pair; UserError on any failure.

    The files without bodies are for TensorRT, which need not be here: they are read strictly.
    """
    with open_bundle(path) as bundle:
        count = bundle.verify()
        golden = {}
        for variant in bundle.manifest.variants:
            twin = variant.file_without_body
            rewrite_model(bundle.read(twin), twin.path)
            with start_variant(bundle, variant) as session:
                golden[variant_label(variant)] = check_golden(bundle, variant, session)
        return VerifiedBundle(str(path), bundle.manifest.name, count, golden)
