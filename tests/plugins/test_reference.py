import numpy as np
import pytest

from mgdn_edge.plugins.reference import dynamic_filter, upscale_bilinear

# Kernels of the golden cases are N(0, 1): 49 products summed in float32 by the official code.
GOLDEN_TOLERANCE = 2e-5
GOLDEN_CASES = ["fac_1x6x9x11", "fac_2x6x5x4", "fac3"]


def random_case(rng, n=1, c=2, h=5, w=7, k=3, s=1):
    feature = rng.standard_normal((n, c, h, w)).astype(np.float32)
    kernel = rng.standard_normal((n, k * k, h // s, w // s)).astype(np.float32)
    return feature, kernel


def filter_by_definition(feature, kernel, k):
    n, c, h, w = feature.shape
    out = np.zeros(feature.shape)
    for index in np.ndindex(n, c, h, w):
        b, ch, y, x = index
        for j in range(k * k):
            yy = min(max(y + j // k - k // 2, 0), h - 1)
            xx = min(max(x + j % k - k // 2, 0), w - 1)
            out[index] += float(kernel[b, j, y, x]) * float(feature[b, ch, yy, xx])
    return out


@pytest.fixture
def golden(shared):
    from safetensors.numpy import load_file

    return load_file(shared / "golden" / "mgdn" / "dynamic_filter.safetensors")


@pytest.mark.data
@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_official_filter_gives_the_same_values(golden, case):
    out = dynamic_filter(golden[f"{case}.feat"], golden[f"{case}.kernel"], 7)
    assert np.abs(out - golden[f"{case}.out"]).max() < GOLDEN_TOLERANCE


def swapped_taps(feature, kernel):
    n, _, h, w = kernel.shape
    transposed = kernel.reshape(n, 7, 7, h, w).transpose(0, 2, 1, 3, 4)
    return dynamic_filter(feature, transposed.reshape(n, 49, h, w), 7)


def flipped_kernel(feature, kernel):
    return dynamic_filter(feature, kernel[:, ::-1], 7)


def zero_border(feature, kernel):
    padded = np.pad(feature, ((0, 0), (0, 0), (3, 3), (3, 3)))
    wide = np.pad(kernel, ((0, 0), (0, 0), (3, 3), (3, 3)))
    return dynamic_filter(padded, wide, 7)[:, :, 3:-3, 3:-3]


@pytest.mark.data
@pytest.mark.parametrize("wrong", [swapped_taps, flipped_kernel, zero_border])
@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_a_wrong_filter_is_far_from_the_official_one(golden, case, wrong):
    out = wrong(golden[f"{case}.feat"], golden[f"{case}.kernel"])
    assert np.abs(out - golden[f"{case}.out"]).max() > 1.0


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 1), (2, 2), (6, 5)])
@pytest.mark.parametrize("k", [1, 3, 7])
def test_follows_the_definition_on_images_smaller_than_the_filter_too(size, k):
    feature, kernel = random_case(np.random.default_rng(1), 2, 3, *size, k)
    expected = filter_by_definition(feature, kernel, k)
    np.testing.assert_allclose(dynamic_filter(feature, kernel, k), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("scale", [2, 4])
def test_upscale_filters_with_the_interpolated_kernel(scale):
    feature, kernel = random_case(np.random.default_rng(2), 1, 2, 8, 12, 3, scale)
    expected = filter_by_definition(feature, upscale_bilinear(kernel, scale), 3)
    out = dynamic_filter(feature, kernel, 3, upscale=scale)
    np.testing.assert_allclose(out, expected, rtol=1e-6, atol=1e-6)
    nearest = filter_by_definition(feature, kernel.repeat(scale, 2).repeat(scale, 3), 3)
    assert np.abs(out - nearest).max() > 0.1


def test_upscale_by_two_of_a_step_is_known_by_hand():
    out = upscale_bilinear(np.array([[[[0.0, 4.0]]]]), 2)
    np.testing.assert_array_equal(out, [[[[0, 1, 3, 4], [0, 1, 3, 4]]]])


@pytest.mark.export
@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 3), (5, 4)])
def test_upscale_equals_onnx_resize(scale, size):
    import onnx
    import onnxruntime
    from onnx import helper

    node = helper.make_node(
        "Resize",
        ["x", "", "scales"],
        ["y"],
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )
    graph = helper.make_graph(
        [node],
        "resize",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 2, *size])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [helper.make_tensor("scales", onnx.TensorProto.FLOAT, [4], [1, 1, scale, scale])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    x = np.random.default_rng(3).standard_normal((1, 2, *size)).astype(np.float32)
    (resized,) = session.run(None, {"x": x})
    np.testing.assert_allclose(upscale_bilinear(x, scale), resized, rtol=1e-5, atol=1e-6)


def test_nan_in_one_pixel_reaches_only_its_neighbours():
    feature, kernel = random_case(np.random.default_rng(4), 1, 1, 9, 9, 3)
    feature[0, 0, 4, 4] = np.nan
    bad = np.isnan(dynamic_filter(feature, kernel, 3))[0, 0]
    assert bad[3:6, 3:6].all()
    assert bad.sum() == 9


@pytest.mark.parametrize(
    ("feature", "kernel", "k", "s"),
    [
        ((1, 2, 4, 4), (1, 4, 4, 4), 2, 1),
        ((1, 2, 4, 4), (1, 9, 4, 4), 3, 3),
        ((1, 2, 4, 4), (1, 8, 4, 4), 3, 1),
        ((1, 2, 5, 4), (1, 9, 2, 2), 3, 2),
        ((2, 2, 4, 4), (1, 9, 4, 4), 3, 1),
        ((2, 4, 4), (1, 9, 4, 4), 3, 1),
    ],
)
def test_shapes_outside_the_contract_are_refused(feature, kernel, k, s):
    with pytest.raises(ValueError, match=r"needed|must be"):
        dynamic_filter(np.zeros(feature, np.float32), np.zeros(kernel, np.float32), k, s)
