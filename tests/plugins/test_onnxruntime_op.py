"""The operation inside ONNX Runtime: which code runs, and what it refuses."""

import numpy as np
import pytest

from mgdn_edge.plugins import reference

pytestmark = pytest.mark.native


@pytest.fixture
def case():
    rng = np.random.default_rng(5)
    feature = rng.standard_normal((1, 3, 8, 12)).astype(np.float32)
    return {"feature": feature, "kernel": rng.standard_normal((1, 9, 4, 6)).astype(np.float32)}


def test_the_registered_operation_is_taken_over_the_function_body(
    build_filter_model, open_filter_model, case
):
    model = build_filter_model(3, 2, body="Neg")  # a body that would give the wrong result
    (native,) = open_filter_model(model).run(None, case)
    expected = reference.dynamic_filter(case["feature"], case["kernel"], 3, 2)
    np.testing.assert_allclose(native, expected, atol=1e-5)
    (body,) = open_filter_model(model, registered=False).run(None, case)
    np.testing.assert_array_equal(body, -case["feature"])


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_do_not_change_a_bit(build_filter_model, open_filter_model, threads):
    rng = np.random.default_rng(6)
    feature = rng.standard_normal((2, 3, 70, 30)).astype(np.float32)
    kernel = rng.standard_normal((2, 49, 70, 30)).astype(np.float32)
    feeds = {"feature": feature, "kernel": kernel}
    model = build_filter_model(7, 1)
    (alone,) = open_filter_model(model, threads=1).run(None, feeds)
    (out,) = open_filter_model(model, threads=threads).run(None, feeds)
    np.testing.assert_array_equal(out, alone)


def test_upscale_defaults_to_one(build_filter_model, open_filter_model, case):
    model = build_filter_model(3, 1, attributes=(("kernel_size", 3),))
    kernel = np.ones((1, 9, 8, 12), np.float32)
    (out,) = open_filter_model(model).run(None, {**case, "kernel": kernel})
    expected = reference.dynamic_filter(case["feature"], kernel, 3)
    np.testing.assert_allclose(out, expected, atol=1e-5)


@pytest.mark.parametrize(
    "attributes",
    [
        (("kernel_size", 4), ("upscale", 1)),
        (("kernel_size", 3), ("upscale", 3)),
        (("kernel_size", 2**40), ("upscale", 1)),
        (("upscale", 1),),
    ],
)
def test_attributes_outside_the_contract_do_not_load(
    build_filter_model, open_filter_model, attributes
):
    with pytest.raises(Exception, match="kernel_size"):
        open_filter_model(build_filter_model(3, 1, attributes=attributes))


@pytest.mark.parametrize(
    ("feature", "kernel"),
    [
        ((1, 3, 8, 12), (1, 9, 8, 12)),
        ((1, 3, 8, 12), (1, 8, 4, 6)),
        ((1, 3, 9, 12), (1, 9, 4, 6)),
        ((1, 0, 8, 12), (1, 9, 4, 6)),
        ((0, 3, 8, 12), (0, 9, 4, 6)),
    ],
)
def test_shapes_outside_the_contract_are_refused(
    build_filter_model, open_filter_model, feature, kernel
):
    feeds = {"feature": np.zeros(feature, np.float32), "kernel": np.zeros(kernel, np.float32)}
    with pytest.raises(Exception, match=r"DynamicFilter.*(is needed|must)"):
        open_filter_model(build_filter_model(3, 2)).run(None, feeds)


def test_without_body_and_library_nothing_runs(build_filter_model, open_filter_model):
    with pytest.raises(Exception, match="DynamicFilter"):
        open_filter_model(build_filter_model(3, 2), registered=False)
