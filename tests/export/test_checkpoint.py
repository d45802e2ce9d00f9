"""Published files are read strictly: what is wrong is named."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from mgdn_edge.export.checkpoint import known_unread, load_mgdn, read_tensors
from mgdn_edge.export.networks.mgdn import MGDN, VARIANTS
from mgdn_edge.export.networks.window_attention import relative_position_index
from mgdn_edge.runtime.errors import UserError

pytestmark = pytest.mark.export


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    """A complete multi-focus file with random weights."""
    torch.manual_seed(0)
    state = {name: value.clone() for name, value in MGDN(VARIANTS["mff"]).state_dict().items()}
    for name, shape in known_unread("mff").items():
        is_index = name.endswith("relative_position_index")
        state[name] = relative_position_index(4) if is_index else torch.zeros(shape)
    return state


@pytest.mark.parametrize("wrapper", ["params", "params_ema", "state_dict", None])
@pytest.mark.parametrize("prefix", ["module.", ""])
def test_wrappers_and_prefixes_are_accepted(
    tensors: dict[str, Tensor], tmp_path: Path, wrapper: str | None, prefix: str
) -> None:
    content: dict[str, object] = OrderedDict((prefix + k, v) for k, v in tensors.items())
    path = tmp_path / "weights.pth"
    torch.save({wrapper: content, "step": 3} if wrapper else content, path)
    assert load_mgdn("mff", read_tensors(path)).conv_last[0].weight.shape == (3, 30, 3, 3)


def test_a_missing_key_is_named(tensors: dict[str, Tensor]) -> None:
    del tensors["layers.1.MGF.TCA.temperature"]
    with pytest.raises(UserError, match=r"1 missing \(layers.1.MGF.TCA.temperature\)"):
        load_mgdn("mff", tensors)


def test_a_missing_dead_key_is_named_too(tensors: dict[str, Tensor]) -> None:
    del tensors["norm.weight"]
    with pytest.raises(UserError, match=r"1 missing \(norm.weight\)"):
        load_mgdn("mff", tensors)


def test_a_left_over_key_is_named(tensors: dict[str, Tensor]) -> None:
    tensors["layers.9.extra"] = torch.zeros(1)
    with pytest.raises(UserError, match=r"1 left over \(layers.9.extra\)"):
        load_mgdn("mff", tensors)


def test_a_wrong_shape_is_named_with_both_shapes(tensors: dict[str, Tensor]) -> None:
    tensors["inconv1.bias"] = torch.zeros(31)
    with pytest.raises(UserError, match=r"inconv1.bias has shape \(31,\), mgdn mff wants \(30,\)"):
        load_mgdn("mff", tensors)


def test_another_variants_file_is_recognised(tensors: dict[str, Tensor]) -> None:
    with pytest.raises(UserError, match="it fits --variant mff"):
        load_mgdn("mef", tensors)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(tensors: dict[str, Tensor], value: float) -> None:
    tensors["inconv1.bias"][3] = value
    with pytest.raises(UserError, match=r"inconv1.bias holds NaN or infinity"):
        load_mgdn("mff", tensors)


def test_a_foreign_position_index_is_refused(tensors: dict[str, Tensor]) -> None:
    name = "layers.0.residual_group.blocks.0.attn.relative_position_index"
    tensors[name] = tensors[name].T.contiguous()
    with pytest.raises(UserError, match="is not the row-major index"):
        load_mgdn("mff", tensors)


def test_a_pickle_that_runs_code_is_refused_unrun(tmp_path: Path) -> None:
    class Exploit:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    path = tmp_path / "weights.pth"
    with path.open("wb") as stream:
        pickle.dump({"a": Exploit()}, stream)
    with pytest.raises(UserError, match="not a checkpoint that can be read safely"):
        read_tensors(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
@pytest.mark.parametrize("keep", [0, 1, 100, 3000])
def test_truncated_files_are_refused(
    tensors: dict[str, Tensor], tmp_path: Path, name: str, keep: int
) -> None:
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"weights\.(safetensors|pth) is not a checkpoint"):
        read_tensors(path)


@pytest.mark.parametrize("content", [[1, 2], {}, {"a": "text"}, {3: torch.zeros(1)}])
def test_other_pickles_are_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(
        UserError, match=r"does not hold a dictionary of tensors|not a named tensor"
    ):
        read_tensors(tmp_path / "weights.pth")
