"""The CUDA kernel on a GPU: numpy's values, at any alignment, in a captured graph."""

import numpy as np
import pytest
from cuda_driver import Device

from mgdn_edge.plugins import reference

pytestmark = [pytest.mark.gpu, pytest.mark.native, pytest.mark.cuda_library]


@pytest.fixture
def device():
    with Device() as device:
        yield device


def draw(shape, k, s, dtype):
    rng = np.random.default_rng(9)
    n, _, h, w = shape
    feature = rng.standard_normal(shape).astype(dtype)
    return feature, rng.standard_normal((n, k * k, h // s, w // s)).astype(dtype)


def assert_filtered(out, feature, kernel, k, s):
    # 49 products of N(0, 1) numbers summed in float32, then stored.
    tolerance = 1e-5 if feature.dtype == np.float32 else 1e-2
    expected = reference.dynamic_filter(feature, kernel, k, s)
    np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("offset", [0, 4])
@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (2, 7, 36, 136), (1, 32, 68, 644)], ids=str)
@pytest.mark.parametrize(("k", "s"), [(3, 1), (3, 4), (5, 2), (5, 4), (7, 1), (7, 2), (7, 4)])
def test_a_gpu_equals_the_reference(device, k, s, shape, offset, dtype):
    feature, kernel = draw(shape, k, s, dtype)
    addresses = [device.upload(array, offset) for array in (feature, kernel, feature)]
    assert device.filter(*addresses, shape, dtype, k, s) == 0
    device.synchronize()
    assert_filtered(device.download(addresses[2], feature), feature, kernel, k, s)


def test_the_call_may_be_captured_into_a_graph(device):
    shape = (1, 8, 32, 128)
    feature, kernel = draw(shape, 7, 1, np.float16)
    addresses = [device.upload(array) for array in (feature, kernel, feature)]
    statuses = []
    device.run_captured(lambda: statuses.append(device.filter(*addresses, shape, np.float16, 7, 1)))
    assert statuses == [0]
    assert_filtered(device.download(addresses[2], feature), feature, kernel, 7, 1)
