import msgspec
import pytest
from mgdn_edge.runtime.bundle.network_names import packaged_bundles

from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.measure.acceptance.subjects import list_subjects


@pytest.fixture(scope="module")
def manifest():
    with open_bundle(packaged_bundles()["mgdn-edge"]) as bundle:
        return bundle.manifest


def lower(manifest, precision, backend, keep=lambda variant: True):
    """The manifest with copies of its variants in a lower precision, for one backend."""
    copies = tuple(
        msgspec.structs.replace(variant, precision=precision, backends=(backend,))
        for variant in manifest.variants
        if keep(variant)
    )
    return msgspec.structs.replace(manifest, variants=(*manifest.variants, *copies))


@pytest.mark.parametrize("backend", ["onnxruntime-cpu", "onnxruntime-cuda", "tensorrt"])
def test_each_size_takes_its_own_variant_or_the_dynamic_one(manifest, backend):
    found = [(each.label, each.variant.name) for each in list_subjects(manifest, backend)]
    assert found == [
        ("fp32 640x512", "640x512"),
        ("fp32 1280x720", "dynamic"),
        ("fp32 640x480", "640x480"),
    ]
    texts = [each.variant_text for each in list_subjects(manifest, backend)]
    assert texts[1] == "dynamic (the bundle has none of this size)"


def test_lower_precisions_are_for_their_backend_and_come_last(manifest):
    both = lower(lower(manifest, "int8", "tensorrt"), "fp16", "tensorrt")
    labels = [each.label for each in list_subjects(both, "tensorrt")]
    assert labels[-3:] == ["fp32 640x480", "fp16 640x480", "int8 640x480"] and len(labels) == 9
    assert len(list_subjects(both, "onnxruntime-cpu")) == 3


def test_a_size_no_variant_takes_is_left_out(manifest):
    static = lower(manifest, "int8", "tensorrt", keep=lambda variant: variant.name == "640x480")
    labels = [each.label for each in list_subjects(static, "tensorrt")]
    assert [label for label in labels if "int8" in label] == ["int8 640x480"]


def test_a_bundle_without_the_base_size_is_refused(manifest):
    wide = tuple(each for each in manifest.variants if each.name == "640x512")
    with pytest.raises(UserError, match=r"no variant for 640x480 on tensorrt; it has: 640x512"):
        list_subjects(msgspec.structs.replace(manifest, variants=wide), "tensorrt")
