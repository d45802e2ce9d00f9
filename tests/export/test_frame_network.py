"""The adapter: what each channel is made from, and how the output becomes levels."""

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from mgdn_edge.export.frame_network import FrameNetwork, core_input, luma_plane
from mgdn_edge.export.onnx_graph import FRAME_SIGNATURE, to_proto, trace_graph
from mgdn_edge.runtime.bundle.fusion_spec import (
    FusionSpec,
    InputSpec,
    OutputSpec,
    decode_spec,
    encode_spec,
)

pytestmark = pytest.mark.export

LUMA = (InputSpec("visible", "visible", 1), InputSpec("infrared", "infrared", 1))
PLAIN = FusionSpec("any", "any", LUMA, 1)


def planes() -> dict[str, torch.Tensor]:
    random = np.random.default_rng(5)
    drawn = random.integers(0, 256, (2, 1, 1, 6, 9)).astype(np.uint8)
    return {"visible": torch.from_numpy(drawn[0]), "infrared": torch.from_numpy(drawn[1])}


def test_each_channel_is_the_plane_that_the_spec_names() -> None:
    stream = InputSpec("mixed", "infrared", 3, 0.5, 0.25, ("infrared", "visible", "infrared"))
    given = planes()
    image = core_input(given, stream)
    for channel, name in enumerate(("infrared", "visible", "infrared")):
        wanted = (given[name][0, 0].float() / 255 - 0.5) / 0.25
        torch.testing.assert_close(image[0, channel], wanted)


def test_as_many_planes_as_channels_are_wanted() -> None:
    with pytest.raises(ValueError, match="input a has 3 channels and 2 planes"):
        InputSpec("a", "visible", 3, planes=("visible", "infrared"))
    text = encode_spec(PLAIN).replace('"channels":1', '"channels":1,"planes":[]', 1)
    with pytest.raises(msgspec.ValidationError, match="1 channels and 0 planes"):
        decode_spec(text)


def test_what_a_spec_leaves_out_is_not_written() -> None:
    """Specs from before these fields keep their bytes, so digests of exports stay."""
    assert "planes" not in encode_spec(PLAIN) and '"output":' not in encode_spec(PLAIN)
    full = msgspec.structs.replace(
        PLAIN, output=OutputSpec(0.5, 0.5), output_range="stretch",
        inputs=(InputSpec("a", "visible", 1, planes=("infrared",)), LUMA[1]),
    )  # fmt: skip
    assert decode_spec(encode_spec(full)) == full


def test_levels_follow_the_range_of_the_output() -> None:
    core = torch.tensor([-1.5, -1.0, -0.5, 0.0, 1.0, 1.5]).reshape(1, 1, 1, 6)
    spec = msgspec.structs.replace(PLAIN, output=OutputSpec(0.5, 0.5))
    assert luma_plane(core, spec).flatten().tolist() == [0, 0, 64, 128, 255, 255]


def test_stretching_is_what_the_published_images_went_through() -> None:
    random = np.random.default_rng(0)
    core = random.uniform(-0.4, 0.3, (1, 1, 40, 50)).astype(np.float32)
    spec = msgspec.structs.replace(PLAIN, output=OutputSpec(0.5, 0.5), output_range="stretch")
    image = core.astype(np.float64)[0, 0] * 127.5 + 127.5
    scaled = (image - image.min()) * 255 / (image.max() - image.min())
    wanted = np.floor(np.clip(scaled, 0, 255) + 0.5)
    got = luma_plane(torch.from_numpy(core), spec)[0, 0].numpy()
    assert (got.min(), got.max()) == (0, 255)
    border = np.abs(scaled % 1 - 0.5) < 1e-4
    assert (np.abs(got - wanted) <= border).all()
    assert luma_plane(torch.full((1, 1, 3, 3), 0.2), spec).unique().tolist() == [0]


class Mean(nn.Module):
    """A network that reads every channel of both inputs, in -1..1."""

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return torch.cat((first, second), dim=1).mean(dim=1, keepdim=True)


def test_the_exported_adapter_gives_the_same_levels() -> None:
    import onnxruntime

    streams = (
        InputSpec("first", "infrared", 2, 0.5, 0.5, ("infrared", "visible")),
        InputSpec("second", "visible", 3, 0.4, 0.3),
    )
    spec = FusionSpec(
        "any", "any", streams, 1, output=OutputSpec(0.5, 0.25), output_range="stretch"
    )
    network, given = FrameNetwork(Mean(), spec), planes()
    model = to_proto(trace_graph(network, FRAME_SIGNATURE), {}).SerializeToString()
    feed = {name: plane.numpy() for name, plane in given.items()}
    fused = onnxruntime.InferenceSession(model).run(None, feed)[0]
    wanted = network(given["visible"], given["infrared"]).numpy()
    assert (wanted.min(), wanted.max()) == (0, 255)
    assert np.abs(fused.astype(int) - wanted).max() <= 1
