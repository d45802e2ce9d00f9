"""Published checkpoint files, read strictly.

Every tensor of a file is either loaded, or of a kind that is known not to matter; anything left
over or missing is an error that names the keys. Two kinds do not matter and are checked for
their shape all the same: tables the network computes itself (window masks, relative-position
indices; the index must also be equal) and parameters no forward pass reads.
"""

import hashlib
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from mgdn_edge.export.networks.mgdn import MGDN, VARIANTS
from mgdn_edge.export.networks.window_attention import relative_position_index
from mgdn_edge.export.tensorflow_checkpoint import (
    checkpoint_files,
    is_tensorflow,
    read_tensorflow,
)
from mgdn_edge.runtime.errors import UserError

WRAPPERS = ("params_ema", "params", "state_dict")  # keys some trainers put the tensors under
PREFIX = "module."  # added by torch.nn.DataParallel
MASK_SIDE = 128  # the published mask tables are built for 128x128 features
NAMES_SHOWN = 5
# What damaged or unsafe files raise: safetensors its own, torch.load any of the others,
# depending on where its zip or pickle reader stumbles.
UNREADABLE = (
    safetensors.SafetensorError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    RuntimeError,
    EOFError,
    ValueError,
    OSError,
    KeyError,
    IndexError,
    AttributeError,
    TypeError,
)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Checkpoint -> name -> tensor, wrappers removed.

    A .safetensors file, a torch pickle (read with ``weights_only``), an .npz file (read without
    pickles), or a TensorFlow checkpoint: no code in any of them runs.
    """
    if is_tensorflow(path):
        arrays = read_tensorflow(path)
        if texts := [name for name, value in arrays.items() if value.dtype.kind not in "fiub"]:
            raise UserError(f"{path}: {shown(sorted(texts))} is not a tensor of numbers")
        return {name: torch.from_numpy(value) for name, value in arrays.items()}
    if not path.is_file():
        raise UserError(f"checkpoint {path} does not exist; give the path of a weight file")
    try:
        if path.suffix == ".safetensors":
            content: object = safetensors.torch.load_file(path)
        elif path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                content = {name: torch.from_numpy(file[name]) for name in file.files}
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path} is not a checkpoint that can be read safely ({reason}); save it as "
            ".safetensors or a plain dictionary of tensors"
        ) from error
    while isinstance(content, Mapping):
        wrapper = next((key for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if wrapper is None:
            break
        content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise UserError(f"{path} does not hold a dictionary of tensors")
    tensors: dict[str, Tensor] = {}
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise UserError(f"{path}: entry {key!r} is {type(value).__name__}, not a named tensor")
        tensors[key] = value
    if all(key.startswith(PREFIX) for key in tensors):
        tensors = {key.removeprefix(PREFIX): value for key, value in tensors.items()}
    return tensors


def known_unread(name: str) -> dict[str, tuple[int, ...]]:
    """Variant name -> the tensors its file carries and no forward pass reads, with shapes."""
    variant = VARIANTS[name]
    width, window, tokens = variant.width, variant.window, variant.window**2
    unread: dict[str, tuple[int, ...]] = {}
    for norm in ("patch_embed.norm", "norm"):
        unread[f"{norm}.weight"] = unread[f"{norm}.bias"] = (width,)
    for stage, depth in enumerate(variant.depths):
        if len(variant.inputs) == 2:
            unread[f"layers.{stage}.adjust_channel_03.weight"] = (width, 2 * width, 1, 1)
            unread[f"layers.{stage}.adjust_channel_03.bias"] = (width,)
        for block in range(depth):
            prefix = f"layers.{stage}.residual_group.blocks.{block}"
            unread[f"{prefix}.attn.relative_position_index"] = (tokens, tokens)
            if block % 2 == 1:
                windows = (MASK_SIDE // window) ** 2
                unread[f"{prefix}.attn_mask"] = (windows, tokens, tokens)
    return unread


def load_mgdn(name: str, tensors: Mapping[str, Tensor], source: str = "checkpoint") -> MGDN:
    """Variant name and its published tensors -> the network, in eval mode.

    Raises UserError naming keys that are left over, missing, or of another shape.
    """
    network = MGDN(VARIANTS[name])
    unread = known_unread(name)
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()} | unread
    refuse_differences(source, f"mgdn {name}", expected, tensors)
    index = relative_position_index(VARIANTS[name].window)
    for key, value in tensors.items():
        if key.endswith("relative_position_index") and not torch.equal(value, index):
            raise UserError(f"{source}: {key} is not the row-major index this network computes")
    network.load_state_dict({key: tensors[key] for key in tensors if key not in unread})
    return network.eval()


def refuse_differences(
    source: str,
    network: str,
    expected: Mapping[str, tuple[int, ...]],
    tensors: Mapping[str, Tensor],
) -> None:
    """Raise UserError unless ``tensors`` has exactly the expected names and shapes, all finite."""
    missing = [key for key in expected if key not in tensors]
    left_over = [key for key in tensors if key not in expected]
    if missing or left_over:
        raise UserError(
            f"{source} is not a {network} checkpoint: "
            f"{len(missing)} missing ({shown(missing)}), {len(left_over)} left over "
            f"({shown(left_over)}){other_variant(tensors)}"
        )
    for key, shape in expected.items():
        if tuple(tensors[key].shape) != shape:
            raise UserError(
                f"{source}: {key} has shape {tuple(tensors[key].shape)}, {network} wants {shape}"
                f"{other_variant(tensors)}"
            )
        if not bool(torch.isfinite(tensors[key]).all()):
            raise UserError(f"{source}: {key} holds NaN or infinity")


def shown(names: list[str]) -> str:
    """The first few names, and how many more."""
    rest = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "") or "none"


def other_variant(tensors: Mapping[str, Tensor]) -> str:
    """A hint, "; it fits --variant X", when the tensors are another variant's exactly."""
    shapes = {key: tuple(value.shape) for key, value in tensors.items()}
    for name in VARIANTS:
        with torch.device("meta"):
            state = MGDN(VARIANTS[name]).state_dict()
        if shapes == {k: tuple(v.shape) for k, v in state.items()} | known_unread(name):
            return f"; it fits --variant {name}"
    return ""


def file_digest(path: Path) -> str:
    """SHA-256 of a checkpoint's file, or files one after the other, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for file in checkpoint_files(path):
        digest.update(file.read_bytes())
    return digest.hexdigest()
