"""The golden vectors of MGDN: which tensors, which weights, in which layout."""

from ast import literal_eval
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from mgdn_edge.export.networks.mgdn import VARIANTS
from mgdn_edge.export.networks.window_attention import relative_position_index
from support import hash_weights

GAIN = 0.7
# our variant -> (key list, prefix of the golden tensors)
HASHED = {
    "mff": ("MFF", "mff"),
    "mef": ("MEF", "mef"),
    "gdsr-x4": ("GDSR4_8", "gdsr_x4x8"),
    "gdsr-x8": ("GDSR4_8", "gdsr_x4x8"),
    "gdsr-x16": ("GDSR16", "gdsr_x16"),
    "deghost": ("Deghost", "deghost"),
}
CROPS = ("lytro01_96x128", "lytro05_101x77")


def hashed_tensors(golden: Path, variant: str) -> dict[str, Tensor]:
    """A published file's tensors, values from names, tables as the release builds them."""
    tensors = {}
    for line in (golden / "mgdn" / f"keys_{HASHED[variant][0]}.txt").read_text().splitlines():
        name, shape, _ = line.split("\t")
        if name.endswith("relative_position_index"):
            tensors[name] = relative_position_index(VARIANTS[variant].window)
        elif name.endswith("attn_mask"):
            tensors[name] = torch.zeros(literal_eval(shape))
        else:
            tensors[name] = hash_weights.value(name, literal_eval(shape), GAIN)
    return tensors


def hashed_case(golden: Path, variant: str) -> tuple[list[Tensor], Tensor]:
    """Inputs in forward order and the official output for hashed weights."""
    stored = load_file(golden / "mgdn" / "mgdn_hash_variants.safetensors")
    prefix = HASHED[variant][1]
    streams = len(VARIANTS[variant].inputs)
    return [stored[f"{prefix}.in{i}"] for i in range(streams)], stored[f"{prefix}.out"]


def official_crop(golden: Path, crop: str) -> dict[str, Tensor]:
    """``a``, ``b`` (1, 3, H, W) float32 in 0..1 and the official outputs of one crop."""
    stored = load_file(golden / "mgdn" / "mff_62000_E.safetensors")
    case = {
        key.removeprefix(f"{crop}."): value
        for key, value in stored.items()
        if key.startswith(f"{crop}.")
    }
    for name in ("a", "b"):
        case[name] = (case[f"{name}_u8"].permute(2, 0, 1)[None].float() / 255).contiguous()
    return case
