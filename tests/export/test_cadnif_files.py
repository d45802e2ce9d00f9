"""Files with CADNIF's variables: by name, from TensorFlow, and what is wrong with others."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from support.cadnif_golden import draw_variables

from mgdn_edge.export.cadnif_checkpoint import load_cadnif
from mgdn_edge.export.checkpoint import file_digest, read_tensors
from mgdn_edge.export.network_catalogue import load_network
from mgdn_edge.export.tensorflow_checkpoint import TABLE_MAGIC, checkpoint_files
from mgdn_edge.runtime.errors import UserError

pytestmark = pytest.mark.export

KERNEL = "fusion_model/A_conv/A_conv_w"


@pytest.fixture
def variables() -> dict[str, np.ndarray]:
    return draw_variables()


def write(folder: Path, variables: dict[str, np.ndarray]) -> Path:
    path = folder / "weights.npz"
    np.savez(path, **variables)
    return path


def kernel(path: Path) -> np.ndarray:
    core = load_network("cadnif", path, release_padding=False).core
    return core.get_parameter("A_conv.A_conv_w").detach().numpy()


def test_kernels_are_turned_and_names_may_be_tensors(
    variables: dict[str, np.ndarray], tmp_path: Path
) -> None:
    named = {f"{name}:0": value for name, value in variables.items()}
    for given in (variables, named):
        np.testing.assert_array_equal(
            kernel(write(tmp_path, given)), variables[KERNEL].transpose(3, 2, 0, 1)
        )


@pytest.mark.data
def test_the_published_names_and_shapes_are_all_known(shared: Path) -> None:
    listed = {}
    for line in (shared / "golden" / "cadnif" / "keys_IV.txt").read_text().splitlines():
        if line.startswith("fusion_model/"):
            name, shape, *_ = line.split("\t")
            listed[name] = shape
    assert {name: str(value.shape) for name, value in draw_variables().items()} == listed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop(KERNEL), rf"1 missing \({KERNEL}\), 0 left over"),
        (lambda v: v.pop("fusion_model/conv_2/BatchNorm/moving_mean"), "1 missing"),
        (lambda v: v.pop("fusion_model/non_local1/non_conv/w_a_2"), "1 missing"),
        (lambda v: v.update({"fusion_model/extra": np.zeros(3)}), "1 left over"),
        (
            lambda v: v.update({KERNEL: v[KERNEL].transpose(3, 2, 0, 1).copy()}),
            r"A_conv_w has shape \(16, 32, 3, 3\), cadnif wants \(3, 3, 32, 16\)",
        ),
        (lambda v: v[KERNEL].fill(np.nan), "holds NaN or infinity"),
    ],
)
def test_wrong_variables_are_named(
    variables: dict[str, np.ndarray], tmp_path: Path, change, message: str
) -> None:
    change(variables)
    with pytest.raises(UserError, match=message) as refused:
        load_network("cadnif", write(tmp_path, variables), release_padding=False)
    assert "\n" not in str(refused.value)


def test_pickled_arrays_are_refused_unrun(tmp_path: Path) -> None:
    class Exploit:
        def __reduce__(self):
            return (Path.mkdir, (tmp_path / "ran",))

    np.savez(tmp_path / "weights.npz", a=np.array([Exploit()], dtype=object))
    with pytest.raises(UserError, match=r"cannot be loaded|not a checkpoint that can be read"):
        read_tensors(tmp_path / "weights.npz")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("keep", [0, 1, 100, 100_000])
def test_truncated_files_are_refused(
    variables: dict[str, np.ndarray], tmp_path: Path, keep: int
) -> None:
    path = write(tmp_path, variables)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"weights\.npz is not a checkpoint"):
        read_tensors(path)


def test_a_single_array_or_text_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "one.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    np.savez(tmp_path / "text.npz", a=np.array(["words"]))
    for name in ("one", "text"):
        with pytest.raises(UserError, match=f"{name}.npz is not a checkpoint"):
            read_tensors(tmp_path / f"{name}.npz")


@pytest.fixture
def tensorflow_files(tmp_path: Path) -> Path:
    """The files of a checkpoint "model-11" as TensorFlow names them; only their ends are real."""
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "model-11.index").write_bytes(b"index" + TABLE_MAGIC)
    (folder / "model-11.data-00000-of-00002").write_bytes(b"first")
    (folder / "model-11.data-00001-of-00002").write_bytes(b"second")
    (folder / "model-12.data-00000-of-00001").write_bytes(b"another's")
    (folder / "old.ckpt").write_bytes(b"all" + TABLE_MAGIC)
    return folder


@pytest.mark.parametrize("name", ["model-11", "model-11.index", "old.ckpt"])
def test_without_tensorflow_the_package_is_named(
    tensorflow_files: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UserError, match="needs tensorflow to read; pip install tensorflow-cpu"):
        read_tensors(tensorflow_files / name)


def test_a_checkpoint_is_all_of_its_files(tensorflow_files: Path) -> None:
    names = [file.name for file in checkpoint_files(tensorflow_files / "model-11")]
    assert names == [
        "model-11.index",
        "model-11.data-00000-of-00002",
        "model-11.data-00001-of-00002",
    ]
    before = file_digest(tensorflow_files / "model-11")
    assert before == file_digest(tensorflow_files / "model-11.index")
    (tensorflow_files / "model-11.data-00001-of-00002").write_bytes(b"changed")
    assert file_digest(tensorflow_files / "model-11") != before
    assert checkpoint_files(Path()) == [Path()]


class Reader:
    """What tf.train.load_checkpoint returns, of given variables."""

    def __init__(self, variables: dict[str, object]) -> None:
        self.get_variable_to_shape_map = lambda: {name: [] for name in variables}
        self.get_tensor = variables.__getitem__


def stand_in(monkeypatch: pytest.MonkeyPatch, variables: dict[str, object]) -> list[str]:
    """A tensorflow that reads ``variables`` from anything -> the prefixes it is asked for."""
    asked: list[str] = []

    def load_checkpoint(prefix: str) -> Reader:
        asked.append(prefix)
        return Reader(variables)

    module = types.ModuleType("tensorflow")
    module.train = types.SimpleNamespace(load_checkpoint=load_checkpoint)
    module.errors = types.SimpleNamespace(OpError=OSError)
    monkeypatch.setitem(sys.modules, "tensorflow", module)
    return asked


def test_what_the_optimizer_stored_is_left_out(
    variables: dict[str, np.ndarray], tensorflow_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: dict[str, object] = dict(variables)
    stored |= {f"{name}/Adam_1": value for name, value in variables.items()}
    stored |= {"beta1_power": np.float32(0.9), "global_step": np.int64(3)}
    asked = stand_in(monkeypatch, stored)
    loaded = kernel(tensorflow_files / "model-11.index")
    np.testing.assert_array_equal(loaded, variables[KERNEL].transpose(3, 2, 0, 1))
    assert asked == [str(tensorflow_files / "model-11")]


def test_object_based_names_are_paths(
    variables: dict[str, np.ndarray], tensorflow_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As tf.train.Checkpoint of TensorFlow 2.21 writes attributes and escaped keyword names."""
    end = "/.ATTRIBUTES/VARIABLE_VALUE"
    stored: dict[str, object] = {"_CHECKPOINTABLE_OBJECT_GRAPH": b"graph"}
    for number, (name, value) in enumerate(variables.items()):
        stored[(name if number % 2 else name.replace("/", ".S")) + end] = value
    stand_in(monkeypatch, stored | {f"save_counter{end}": np.int64(1)})
    tensors = read_tensors(tensorflow_files / "model-11")
    assert load_cadnif(tensors).get_parameter("conv_3.b_conv_2").shape == (1,)


def test_a_checkpoint_with_text_is_refused(
    tensorflow_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, {"note": b"text", "a": np.zeros(2, np.float32)})
    with pytest.raises(UserError, match="note is not a tensor of numbers"):
        read_tensors(tensorflow_files / "model-11")


@pytest.mark.tensorflow
@pytest.mark.parametrize("version", [1, 2])
def test_tensorflows_own_files_are_read(
    variables: dict[str, np.ndarray], tmp_path: Path, version: int
) -> None:
    import tensorflow

    compat = tensorflow.compat.v1
    with compat.Graph().as_default(), compat.Session() as session:
        for name, value in variables.items():
            compat.get_variable(name, initializer=value)
        session.run(compat.global_variables_initializer())
        saver = compat.train.Saver(write_version=version)
        prefix = Path(saver.save(session, str(tmp_path / "model"), global_step=11))
    loaded = load_cadnif(read_tensors(prefix))
    wanted = load_cadnif({name: torch.from_numpy(value) for name, value in variables.items()})
    for name, value in wanted.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
