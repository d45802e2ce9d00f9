"""MGDN against outputs of the official code, in torch and in ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from support import mgdn_golden
from support.mgdn_golden import CROPS, HASHED

from mgdn_edge.export import dynamic_filter
from mgdn_edge.export.checkpoint import load_mgdn, read_tensors
from mgdn_edge.export.frame_network import PaddedNetwork
from mgdn_edge.export.network_catalogue import CORE_INPUTS, load_network
from mgdn_edge.export.networks import mgdn, window_attention
from mgdn_edge.export.onnx_graph import Signature, to_proto, trace_graph
from mgdn_edge.export.padding import pad_to
from mgdn_edge.export.window_attention import shifted_window_mask

pytestmark = [pytest.mark.export, pytest.mark.data]

# float32 against float64 of the official code differ by less than 6e-7; another order of sums
# in a second implementation gave 5.4e-7.
TORCH_TOLERANCE = 2e-6
ORT_TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def golden(shared: Path) -> Path:
    return shared / "golden"


def largest(actual: object, expected: torch.Tensor) -> float:
    return float(np.abs(np.asarray(actual) - expected.numpy()).max())


@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("padding", ["direct", "script"])
def test_official_weights_give_the_official_pixels(
    golden: Path, official_weights: Path, crop: str, padding: str
) -> None:
    loaded = load_network("mff", official_weights, release_padding=padding == "script")
    case = mgdn_golden.official_crop(golden, crop)
    with torch.no_grad():
        fused = PaddedNetwork(loaded.core, loaded.spec)(case["a"], case["b"])
    assert largest(fused, case[f"{padding}_out"]) <= TORCH_TOLERANCE


def test_script_padding_gives_the_published_8_bit_image(
    golden: Path, official_weights: Path
) -> None:
    loaded = load_network("mff", official_weights, release_padding=True)
    case = mgdn_golden.official_crop(golden, CROPS[1])
    with torch.no_grad():
        fused = PaddedNetwork(loaded.core, loaded.spec)(case["a"], case["b"])
    exact = fused.clamp(0, 1)[0].permute(1, 2, 0) * 255
    differs = torch.round(exact) != case["script_out_u8_rgb"].float()
    # Only where the published value lies on the border between two levels, within its own rounding.
    to_border = (exact % 1 - 0.5).abs()
    assert (to_border[differs] <= 255 * TORCH_TOLERANCE).all()
    assert differs.float().mean() < 1e-3


@pytest.mark.parametrize("variant", HASHED)
def test_hashed_weights_give_the_official_output(golden: Path, variant: str) -> None:
    network = load_mgdn(variant, mgdn_golden.hashed_tensors(golden, variant))
    inputs, expected = mgdn_golden.hashed_case(golden, variant)
    with torch.no_grad():
        assert largest(network(*inputs), expected) <= TORCH_TOLERANCE


@pytest.mark.parametrize("crop", CROPS)
def test_exported_core_gives_the_official_pixels(golden: Path, mff_export: Path, crop: str) -> None:
    case = mgdn_golden.official_crop(golden, crop)
    session = onnxruntime.InferenceSession(mff_export / "core.onnx")
    fused = session.run(None, {"first": case["a"].numpy(), "second": case["b"].numpy()})[0]
    assert largest(fused, case["direct_out"]) <= ORT_TOLERANCE


def test_exported_release_padding_gives_the_published_pixels(
    golden: Path, official_weights: Path
) -> None:
    loaded = load_network("mff", official_weights, release_padding=True)
    signature = Signature(loaded.inputs, torch.float32, "fused")
    model = trace_graph(PaddedNetwork(loaded.core, loaded.spec), signature)
    session = onnxruntime.InferenceSession(to_proto(model, {}).SerializeToString())
    for crop in CROPS:
        case = mgdn_golden.official_crop(golden, crop)
        fused = session.run(None, {"first": case["a"].numpy(), "second": case["b"].numpy()})[0]
        assert largest(fused, case["script_out"]) <= ORT_TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("variant", [name for name in HASHED if name != "gdsr-x8"])
def test_every_variant_exports_to_the_official_output(golden: Path, variant: str) -> None:
    network = load_mgdn(variant, mgdn_golden.hashed_tensors(golden, variant))
    inputs, expected = mgdn_golden.hashed_case(golden, variant)
    names = CORE_INPUTS[variant]
    channels = mgdn.VARIANTS[variant].inputs
    signature = Signature(tuple(zip(names, channels, strict=True)), torch.float32, "fused")
    model = to_proto(trace_graph(network, signature), {})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    feed = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
    assert largest(session.run(None, feed)[0], expected) <= ORT_TOLERANCE


def test_swapped_filter_taps_are_caught(
    golden: Path, official_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = dynamic_filter.filter_taps

    def transposed(feature, kernel, kernel_size, upscale=1):
        taps = torch.arange(kernel_size**2).reshape(kernel_size, kernel_size).T.flatten()
        return right(feature, kernel[:, taps], kernel_size, upscale)

    monkeypatch.setattr(dynamic_filter, "filter_taps", transposed)
    assert error_of_official_crop(golden, official_weights) > 100 * TORCH_TOLERANCE


def test_a_wrong_padding_mode_is_caught(
    golden: Path, official_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        mgdn, "pad_to", lambda image, rows, columns, mode: pad_to(image, rows, columns, "edge")
    )
    assert error_of_official_crop(golden, official_weights) > 100 * TORCH_TOLERANCE


def test_a_wrong_head_count_is_caught(
    golden: Path, official_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = window_attention.WindowAttention.__init__

    def one_head_fewer(self, width: int, heads: int, window: int, shift: int) -> None:
        build(self, width, heads, window, shift)
        self.heads = heads - 1 if width % (heads - 1) == 0 else 1
        table = self.relative_position_bias_table

        def narrowed(module, arguments):
            module.relative_position_bias_table = torch.nn.Parameter(table[:, : module.heads])

        self.register_forward_pre_hook(narrowed)

    monkeypatch.setattr(window_attention.WindowAttention, "__init__", one_head_fewer)
    assert error_of_official_crop(golden, official_weights) > 100 * TORCH_TOLERANCE


def error_of_official_crop(golden: Path, weights: Path) -> float:
    case = mgdn_golden.official_crop(golden, CROPS[1])
    network = load_mgdn("mff", read_tensors(weights))
    with torch.no_grad():
        return largest(network(case["a"], case["b"]), case["direct_out"])


def test_window_tables_are_the_official_ones(golden: Path) -> None:
    tables = load_file(golden / "mgdn" / "window_tables.safetensors")
    index = next(value for name, value in tables.items() if "index" in name)
    assert torch.equal(window_attention.relative_position_index(4), index.long())
    mask = next(value for name, value in tables.items() if "mask" in name)
    ours = shifted_window_mask(24, 20, 4, torch.device("cpu"))
    assert torch.equal(ours[:, 0], mask.reshape(ours[:, 0].shape))
