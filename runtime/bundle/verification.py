"""verify_bundle: every digest, then every graph and every golden pair."""

from pathlib import Path

import msgspec

from mgdn_edge.runtime.bundle.golden_pair import check_golden
from mgdn_edge.runtime.bundle.manifest import variant_label
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.networks import start_variant
from mgdn_edge.runtime.onnx_file import rewrite_model
from mgdn_edge.runtime.quality import Parity


class Verdict(msgspec.Struct, frozen=True):
    """A bundle that passed: how many files fit their digests, the parity of each variant."""

    bundle: str
    name: str
    files: int
    golden: dict[str, Parity]


def verify_bundle(path: Path) -> Verdict:
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
        return Verdict(str(path), bundle.manifest.name, count, golden)
