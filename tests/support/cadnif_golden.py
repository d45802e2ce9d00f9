"""CADNIF: golden vectors of the authors' TensorFlow graph in our layout, and drawn weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mgdn_edge.export.cadnif_checkpoint import published_shapes
from mgdn_edge.export.networks.cadnif import CADNIF

WEIGHTS = "cadnif/IV_weights.npz"
# tap of the authors' graph -> our module, and whether the tap is behind its leaky ReLU
TAPS = {
    "conv_i.Maximum": ("conv_i", True),
    "non_local1.non_conv.add_3": ("non_local1", False),
    "attention_layer1.attention.BatchNorm.FusedBatchNorm": ("attention_layer1", False),
}


class GoldenCase(NamedTuple):
    """One pair in [-1, 1], (1, 1, H, W) twice; the official output (H, W); module -> its tap."""

    name: str
    infrared: Tensor
    visible: Tensor
    replicated: bool
    expected: np.ndarray
    taps: dict[str, np.ndarray]


def read_cases(golden: Path) -> Iterator[GoldenCase]:
    """Every golden pair, in each arrangement there is an output of."""
    with np.load(golden / "cadnif" / "tf_graph_120.npz") as stored:
        prefix = "IV_17_"
        infrared, visible = (torch.from_numpy(stored[prefix + name]) for name in ("ir", "vi"))
        taps = {name: stored[prefix + name][0].transpose(2, 0, 1) for name in TAPS}
        fused = stored[prefix + "conv_3.Tanh"][0, :, :, 0]
        yield GoldenCase(
            "120x120", infrared[..., 0][None], visible[..., 0][None], False, fused, taps
        )
    with np.load(golden / "cadnif" / "fullsize.npz") as stored:
        for result in ("IV_result7", "IV_result16"):
            infrared, visible = (
                torch.from_numpy((stored[f"{result}.{name}_gray"] - 127.5) / 127.5)[None, None]
                for name in ("ir", "vi")
            )
            for kind in ("cross", "rep"):
                expected = stored[f"{result}.tanh_{kind}"]
                yield GoldenCase(f"{result} {kind}", infrared, visible, kind == "rep", expected, {})


def arrange(case: GoldenCase) -> tuple[Tensor, Tensor]:
    """The two (1, 3, H, W) inputs of the core graph."""
    a, b = case.infrared, case.visible
    if case.replicated:
        return torch.cat((a, a, a), dim=1), torch.cat((b, b, b), dim=1)
    return torch.cat((a, a, b), dim=1), torch.cat((b, b, a), dim=1)


def draw_variables(seed: int = 0, spread: float = 0.05) -> dict[str, np.ndarray]:
    """Every variable of a checkpoint by its published name, normally distributed."""
    random = np.random.default_rng(seed)
    return {
        name: random.normal(1.0 if name.endswith(("gamma", "variance")) else 0.0, spread, shape)
        .astype(np.float32)
        for name, shape in published_shapes(CADNIF()).items()
    }  # fmt: skip
