"""Every host of NormalizedLinear and ResidualMlp computes what the numpy specification does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgdn_edge.plugins import native_tokens, token_layers
from mgdn_edge.plugins.native import Implementation
from mgdn_edge.plugins.token_layers import LINEAR, MLP

pytestmark = pytest.mark.native

# Sums of up to 256 float32 products of size 1, rounded at 2^-24 of sums up to 30, against float64.
# A missing bias, a wrong row or a GELU by its tanh formula is above 1e-4.
TOLERANCE = 2e-5
SIZES = [
    (1, 1, 1, 2, 1),  # ONNX Runtime 1.23.2 normalises no single value, so not 1 channel
    (2, 3, 5, 30, 90),
    (1, 7, 9, 30, 60),
    (1, 2, 3, 60, 240),
    (1, 1, 2, 64, 256),
    (3, 1, 1, 17, 33),
    (1, 5, 5, 16, 32),
    (1, 1, 7, 2, 50),
]


def draw_case(operator, n, h, w, channels, hidden, seed=1):
    rng = np.random.default_rng(seed)

    def draw(*shape, size=1.0):
        return (size * rng.standard_normal(shape)).astype(np.float32)

    operands = [
        draw(n, h, w, channels),
        1 + draw(channels, size=0.2),
        draw(channels),
        draw(channels, hidden, size=channels**-0.5),
        draw(hidden),
    ]
    if operator == MLP:
        operands += [
            draw(hidden, channels, size=hidden**-0.5),
            draw(channels),
            draw(n, h, w, channels),
            draw(channels, channels, size=channels**-0.5),
            draw(channels),
        ]
    return operands


def specify(operator, operands):
    """The specification's results in a tuple."""
    if operator == LINEAR:
        return token_layers.normalized_linear(*operands)
    return (token_layers.residual_mlp(*operands),)


def norm_gain(operator, operands):
    """Largest factor of the layer norm: few channels may be close to each other, and then what
    rounding left of their difference is multiplied by up to 316."""
    x, hidden = operands[0].astype(np.float64), 0
    if operator == MLP:
        hidden = operands[7].astype(np.float64) @ operands[8] + operands[9]
    return 1 / np.sqrt((x + hidden).var(-1).min() + token_layers.EPSILON)


def run_natively(operator, operands, **options):
    if operator == LINEAR:
        return native_tokens.normalized_linear(*operands, **options)
    return (native_tokens.residual_mlp(*operands, **options),)


@pytest.fixture(params=[LINEAR, MLP])
def operator(request):
    return request.param


@pytest.fixture(
    params=[
        "core",
        "baseline",
        pytest.param("avx2", marks=pytest.mark.avx2),
        pytest.param("avx512", marks=pytest.mark.avx512),
        "onnxruntime",
        pytest.param("function-body", marks=pytest.mark.export),
    ]
)
def host(request, open_filter_model, build_token_model):
    """operator, operands -> results, by one host."""
    if request.param in ("onnxruntime", "function-body"):
        native_op = request.param == "onnxruntime"

        def run_in_session(operator, operands):
            model = build_token_model(operator, body=not native_op)
            session = open_filter_model(model, registered=native_op)
            names = [value.name for value in session.get_inputs()]
            return session.run(None, dict(zip(names, operands, strict=True)))

        return run_in_session
    implementation = Implementation[request.param.upper()]
    return lambda operator, operands: run_natively(
        operator, operands, implementation=implementation
    )


@pytest.mark.parametrize("size", SIZES)
def test_every_host_equals_the_specification(host, operator, size):
    operands = draw_case(operator, *size)
    for got, expected in zip(host(operator, operands), specify(operator, operands), strict=True):
        np.testing.assert_allclose(got, expected, atol=TOLERANCE)


@pytest.mark.parametrize(
    "implementation",
    [
        Implementation.BASELINE,
        pytest.param(Implementation.AVX2, marks=pytest.mark.avx2),
        pytest.param(Implementation.AVX512, marks=pytest.mark.avx512),
    ],
)
@given(
    channels=st.integers(1, 64),
    hidden=st.integers(1, 256),
    tokens=st.integers(1, 150),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_every_size_and_number_of_tokens(implementation, channels, hidden, tokens, seed):
    for operator in (LINEAR, MLP):
        operands = draw_case(operator, 1, 1, tokens, channels, hidden, seed)
        tolerance = TOLERANCE * (1 + norm_gain(operator, operands) / 20)
        for got, expected in zip(
            run_natively(operator, operands, implementation=implementation),
            specify(operator, operands),
            strict=True,
        ):
            np.testing.assert_allclose(got, expected, atol=tolerance)


def test_bands_join_without_a_seam(operator):
    """More tokens than a band, on threads, equal the slow twin everywhere."""
    operands = draw_case(operator, 1, 71, 83, 30, 60)
    got = run_natively(operator, operands, threads=3)
    slow = run_natively(operator, operands, implementation=Implementation.CORE)
    for ours, theirs in zip(got, slow, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)


@pytest.mark.parametrize("level", [1e-4, 50.0, 3e4])
def test_gelu_and_norm_at_any_level(host, operator, level):
    """Tiny differences meet the norm's epsilon; large biases reach both ends of GELU."""
    operands = draw_case(operator, 1, 3, 4, 30, 60)
    operands[0] *= np.float32(level)
    operands[4] *= np.float32(min(level, 50.0))
    for got, expected in zip(host(operator, operands), specify(operator, operands), strict=True):
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(got, expected, atol=TOLERANCE * scale)


def test_gelu_is_the_exact_one(host):
    """64 arguments of GELU, one in each hidden value, each to one channel of its own."""
    operands = [np.zeros_like(each) for each in draw_case(MLP, 1, 1, 1, 64, 64)]
    operands[4] = np.linspace(-9, 9, 64, dtype=np.float32)
    operands[5] = np.eye(64, dtype=np.float32)
    expected = token_layers.gelu(operands[4].astype(np.float64))
    np.testing.assert_allclose(host(MLP, operands)[0].ravel(), expected, atol=6e-7)


def test_nan_stays_in_its_token(host, operator):
    operands = draw_case(operator, 1, 5, 9, 30, 60)
    operands[0][0, 2, 3, 7] = np.nan
    for got in host(operator, operands):
        bad = np.isnan(got)
        assert bad[0, 2, 3].all()
        bad[0, 2, 3] = False
        assert not bad.any()


@pytest.mark.parametrize("swap", [(1, 2), (3, 8), (6, 9), (0, 7)])
def test_swapped_operands_are_noticed(host, swap):
    operands = draw_case(MLP, 1, 3, 4, 30, 30)
    expected = specify(MLP, operands)[0]
    operands[swap[0]], operands[swap[1]] = operands[swap[1]], operands[swap[0]]
    assert np.abs(host(MLP, operands)[0] - expected).max() > 1e-2


@pytest.mark.parametrize(
    ("index", "shape"),
    [(0, (2, 3, 30)), (1, (29,)), (3, (30, 61)), (4, (0,)), (5, (60, 29)), (7, (1, 2, 3, 30))],
)
def test_shapes_that_do_not_fit_are_refused(index, shape):
    operands = draw_case(MLP, 1, 3, 4, 30, 60)
    operands[index] = np.zeros(shape, np.float32)
    for run in (native_tokens.residual_mlp, token_layers.residual_mlp):
        with pytest.raises(ValueError, match="needed"):
            run(*operands)


def test_more_than_the_native_layer_takes_is_refused(
    operator, build_token_model, open_filter_model
):
    import onnxruntime

    operands = draw_case(operator, 1, 1, 2, 65, 8)
    with pytest.raises(ValueError, match="at most 64 channels"):
        run_natively(operator, operands)
    session = open_filter_model(build_token_model(operator))
    names = [value.name for value in session.get_inputs()]
    with pytest.raises(
        onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument, match="C at most 64"
    ):
        session.run(None, dict(zip(names, operands, strict=True)))


@pytest.mark.parametrize("index", range(5))
def test_the_operation_checks_every_shape(index, operator, build_token_model, open_filter_model):
    import onnxruntime

    operands = draw_case(operator, 1, 2, 2, 8, 12)
    operands[index] = np.concatenate([operands[index]] * 2, axis=-1)
    session = open_filter_model(build_token_model(operator))
    names = [value.name for value in session.get_inputs()]
    with pytest.raises(
        onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument, match="wrong shape"
    ):
        session.run(None, dict(zip(names, operands, strict=True)))


def test_types_other_than_float32_are_refused():
    operands = [each.astype(np.float64) for each in draw_case(LINEAR, 1, 1, 1, 4, 4)]
    with pytest.raises(ValueError, match="float32 is needed"):
        native_tokens.normalized_linear(*operands)


@pytest.mark.export
def test_torch_and_its_gradient_follow_the_specification(operator):
    torch = pytest.importorskip("torch", reason="needs torch: pip install torch")
    from mgdn_edge.export.token_layers import normalized_linear, residual_mlp

    operands = draw_case(operator, 1, 2, 3, 10, 20)
    tensors = [torch.from_numpy(each).requires_grad_() for each in operands]
    results = normalized_linear(*tensors) if operator == LINEAR else (residual_mlp(*tensors),)
    for got, expected in zip(results, specify(operator, operands), strict=True):
        np.testing.assert_allclose(got.detach().numpy(), expected, atol=TOLERANCE)
    sum(each.square().sum() for each in results).backward()
    assert all(each.grad is not None and each.grad.abs().max() > 0 for each in tensors)
