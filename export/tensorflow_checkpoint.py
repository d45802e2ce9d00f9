"""TensorFlow checkpoints, of versions 1 and 2, as the files they are and the variables they hold.

A checkpoint is named by its prefix ("model-11"), which is no file: model-11.index and
model-11.data-00000-of-00001 are. Graph-based ones name variables, object-based ones the path to
them; a single file of TensorFlow 0.x to 1.x holds both parts.
"""

from collections.abc import Container
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.errors import UserError

INDEX = ".index"
TABLE_MAGIC = bytes.fromhex("57fb808b247547db")  # the last bytes of TensorFlow's tables
ATTRIBUTE = "/.ATTRIBUTES/VARIABLE_VALUE"  # ends the names of object-based checkpoints
ESCAPED = ((".S", "/"), ("..", "."))  # in their names
BOOKKEEPING = ("_CHECKPOINTABLE_OBJECT_GRAPH", "save_counter")
# What TensorFlow's optimizers store beside the variables they train.
SLOTS = ("Adam", "Adam_1", "Momentum", "ExponentialMovingAverage")
SCALARS = ("beta1_power", "beta2_power", "global_step")


def checkpoint_files(path: Path) -> list[Path]:
    """What was named -> every file it consists of, in a fixed order; [path] for other formats."""
    prefix = path.with_suffix("") if path.suffix == INDEX else path
    if not prefix.name:
        return [path]
    index = prefix.with_name(prefix.name + INDEX)
    if not index.is_file() or (path.suffix != INDEX and path.exists()):
        return [path]
    start = f"{prefix.name}.data-"
    return [index, *sorted(each for each in prefix.parent.iterdir() if each.name.startswith(start))]


def is_tensorflow(path: Path) -> bool:
    """True for a checkpoint's prefix, its index, or a single file of TensorFlow 1."""
    first = checkpoint_files(path)[0]
    try:
        with first.open("rb") as file:
            file.seek(-len(TABLE_MAGIC), 2)
            return file.read() == TABLE_MAGIC
    except OSError:
        return False


def read_tensorflow(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    """Checkpoint -> variable name -> array; what only an optimizer reads is left out.

    Raises UserError where tensorflow is not installed or cannot read it.
    """
    try:
        import tensorflow
    except ImportError as error:
        raise UserError(
            f"{path} is a TensorFlow checkpoint, which needs tensorflow to read; "
            "pip install tensorflow-cpu, or save its variables by name with numpy.savez"
        ) from error
    prefix = path.with_suffix("") if path.suffix == INDEX else path
    try:
        reader = tensorflow.train.load_checkpoint(str(prefix))
        arrays = {
            _plain_name(name): np.asarray(reader.get_tensor(name))
            for name in reader.get_variable_to_shape_map()
            if not name.startswith(BOOKKEEPING)
        }
    except (tensorflow.errors.OpError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path} is not a checkpoint that TensorFlow reads ({reason})") from error
    return {name: array for name, array in arrays.items() if not _is_optimizers(name, arrays)}


def _plain_name(name: str) -> str:
    if not name.endswith(ATTRIBUTE):
        return name
    name = name.removesuffix(ATTRIBUTE)
    for escaped, plain in ESCAPED:
        name = name.replace(escaped, plain)
    return name


def _is_optimizers(name: str, names: Container[str]) -> bool:
    owner, _, last = name.rpartition("/")
    return last in SCALARS or (last in SLOTS and owner in names)
