"""Every native host of WindowAttention computes what the numpy specification does."""

import numpy as np
import pytest

from mgdn_edge.plugins import native_attention
from mgdn_edge.plugins.native import Implementation
from mgdn_edge.plugins.window_attention import region_mask, window_attention

pytestmark = pytest.mark.native

# float32 sums of d products and of T weights, an exponential of 2 units in the last place, against
# float64: a few 1e-7 of results of size 1. A wrong token, mask or bias is above 1e-2.
TOLERANCE = 4e-6


def draw_case(n, h, w, heads, size, window, seed=1):
    rng = np.random.default_rng(seed)
    qkv = rng.standard_normal((n, h, w, 3 * heads * size)).astype(np.float32)
    return qkv, rng.standard_normal((heads, window**2, window**2)).astype(np.float32)


IMPLEMENTATIONS = [
    "core",
    "baseline",
    pytest.param("avx2", marks=pytest.mark.avx2),
    pytest.param("avx512", marks=pytest.mark.avx512),
]


@pytest.fixture(
    params=[
        *IMPLEMENTATIONS,
        "onnxruntime",
        pytest.param("function-body", marks=pytest.mark.export),
    ]
)
def host(request, open_filter_model, build_attention_model):
    """qkv, bias, heads, window, shift -> attended, by one native host."""
    if request.param in ("onnxruntime", "function-body"):
        native_op = request.param == "onnxruntime"

        def attend_in_session(qkv, bias, heads, window, shift=0):
            assert shift in (0, window // 2), "a graph has no other shifts"
            model = build_attention_model(heads, window, shift > 0, body=not native_op)
            session = open_filter_model(model, registered=native_op)
            return session.run(None, {"qkv": qkv, "bias": bias})[0]

        return attend_in_session
    implementation = Implementation[request.param.upper()]

    def attend_natively(qkv, bias, heads, window, shift=0):
        return native_attention.window_attention(
            qkv, bias, heads, window, shift, implementation=implementation
        )

    return attend_natively


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize(
    ("n", "h", "w", "heads", "size", "window"),
    [
        (1, 4, 4, 1, 1, 4),
        (2, 8, 12, 3, 10, 4),
        (1, 20, 4, 6, 5, 4),
        (1, 8, 8, 6, 10, 8),
        (2, 16, 24, 2, 7, 8),
        (1, 4, 8, 1, 64, 4),
    ],
)
def test_every_host_equals_the_specification(host, n, h, w, heads, size, window, shifted):
    qkv, bias = draw_case(n, h, w, heads, size, window)
    shift = window // 2 if shifted else 0
    got = host(qkv, bias, heads, window, shift)
    np.testing.assert_allclose(
        got, window_attention(qkv, bias, heads, window, shift), atol=TOLERANCE
    )


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("shift", [1, 3])
def test_any_shift(implementation, shift):
    qkv, bias = draw_case(1, 8, 8, 2, 3, 4)
    expected = window_attention(qkv, bias, 2, 4, shift)
    got = native_attention.window_attention(
        qkv, bias, 2, 4, shift, implementation=Implementation[implementation.upper()]
    )
    np.testing.assert_allclose(got, expected, atol=TOLERANCE)


def test_large_logits_do_not_overflow(host):
    qkv, bias = draw_case(1, 8, 8, 2, 4, 4)
    got = host(qkv * np.float32(30), bias, 2, 4, 2)
    expected = window_attention(qkv * np.float32(30), bias, 2, 4, 2)
    assert np.isfinite(got).all()
    # Logits of a few hundred are rounded to 2^-16, and so are the weights.
    np.testing.assert_allclose(got, expected, atol=30 * 300 * 2.0**-22)


def test_nan_stays_in_its_window_and_head(host):
    qkv, bias = draw_case(1, 8, 12, 2, 3, 4)
    qkv[0, 5, 6, 1] = np.nan  # a query of head 0, window (1, 1)
    bad = np.isnan(host(qkv, bias, 2, 4))
    expected = np.zeros_like(bad)
    expected[0, 5, 6, :3] = True
    np.testing.assert_array_equal(bad, expected)
    qkv[0, 5, 6, 1], qkv[0, 5, 6, 6] = 0, np.nan  # a key of head 0: every query of the window
    bad = np.isnan(host(qkv, bias, 2, 4))
    expected[0, 4:8, 4:8, :3] = True
    np.testing.assert_array_equal(bad, expected)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda qkv, bias: (qkv, bias.swapaxes(1, 2).copy()),
        lambda qkv, bias: (np.roll(qkv, 1, axis=1), bias),
        lambda qkv, bias: (np.roll(qkv, qkv.shape[3] // 3, axis=3), bias),
    ],
    ids=["bias transposed", "moved by a row", "queries as keys"],
)
def test_a_wrong_operand_is_noticed(host, wrong):
    qkv, bias = draw_case(1, 8, 8, 3, 10, 4)
    got = host(*wrong(qkv, bias), 3, 4, 2)
    assert np.abs(got - window_attention(qkv, bias, 3, 4, 2)).max() > 1e-2


def test_a_missing_mask_is_noticed(host):
    qkv, bias = draw_case(1, 8, 8, 1, 4, 4)
    unmasked = np.roll(window_attention(np.roll(qkv, (-2, -2), (1, 2)), bias, 1, 4), (2, 2), (1, 2))
    assert np.abs(host(qkv, bias, 1, 4, 2) - unmasked).max() > 1e-2


@pytest.mark.data
def test_the_mask_is_that_of_the_published_regions(shared):
    from safetensors.numpy import load_file

    golden = load_file(shared / "golden" / "mgdn" / "window_tables.safetensors")
    (name,) = (key for key in golden if "mask" in key)
    np.testing.assert_array_equal(
        region_mask(24, 20, 4, 2).reshape(golden[name].shape), golden[name]
    )


@pytest.mark.parametrize(
    ("shape", "bias", "heads", "window", "shift"),
    [
        ((1, 6, 8, 12), (2, 16, 16), 2, 4, 0),
        ((1, 8, 8, 12), (2, 16, 15), 2, 4, 0),
        ((1, 8, 8, 13), (2, 16, 16), 2, 4, 0),
        ((1, 8, 8, 12), (2, 16, 16), 2, 4, 4),
        ((1, 8, 8, 195), (1, 16, 16), 1, 4, 0),
        ((1, 9, 9, 3), (1, 9, 9), 1, 3, 0),
    ],
)
def test_what_does_not_fit_is_refused(shape, bias, heads, window, shift):
    qkv, bias = np.zeros(shape, np.float32), np.zeros(bias, np.float32)
    with pytest.raises(ValueError, match=r"needed|must be"):
        native_attention.window_attention(qkv, bias, heads, window, shift)
