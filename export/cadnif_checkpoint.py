"""CADNIF's variables under their TensorFlow names -> the network.

Half of what the files hold is dead, and is checked for its shape all the same: moving averages
that no published graph reads, the attention of the non-local blocks, whose result the graph
drops, and two dilated blocks that nothing consumes.
"""

from collections.abc import Mapping

from torch import Tensor

from mgdn_edge.export.batch_statistics import BatchStatistics
from mgdn_edge.export.checkpoint import refuse_differences
from mgdn_edge.export.networks.cadnif import CADNIF, WIDTH

SCOPE = "fusion_model/"
VARIABLE = ":0"  # ends a name where tensors were named and not variables
DEAD_DILATED = {"dilation1": 128, "dilation2": 256}  # channels


def load_cadnif(tensors: Mapping[str, Tensor], source: str = "checkpoint") -> CADNIF:
    """TensorFlow names and tensors, kernels (height, width, in, out) -> the network in eval mode.

    Raises UserError naming variables that are left over, missing, or of another shape.
    """
    network = CADNIF()
    tensors = {name.removesuffix(VARIABLE): value for name, value in tensors.items()}
    refuse_differences(source, "cadnif", published_shapes(network), tensors)
    state = {}
    for name in network.state_dict():
        value = tensors[published_name(name)]
        state[name] = value.permute(3, 2, 0, 1).contiguous() if value.ndim == 4 else value
    network.load_state_dict(state)
    return network.eval()


def published_name(parameter: str) -> str:
    """conv_i.BatchNorm.gamma -> fusion_model/conv_i/BatchNorm/gamma."""
    return SCOPE + parameter.replace(".", "/")


def published_shapes(network: CADNIF) -> dict[str, tuple[int, ...]]:
    """Every variable of a published checkpoint, live and dead, with its shape in TensorFlow."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, value in network.state_dict().items():
        shape = tuple(value.shape)
        if len(shape) == 4:
            shape = (shape[2], shape[3], shape[1], shape[0])
        shapes[published_name(name)] = shape
    for name, module in network.named_modules():
        if isinstance(module, BatchStatistics):
            for average in ("moving_mean", "moving_variance"):
                shapes[published_name(f"{name}.{average}")] = tuple(module.gamma.shape)
    for block in ("non_local1", "non_local2"):
        for number in (1, 2, 3):
            shapes[f"{SCOPE}{block}/non_conv/w_a_{number}"] = (1, 1, WIDTH, WIDTH)
            shapes[f"{SCOPE}{block}/non_conv/b_a_{number}"] = (WIDTH,)
    for block, width in DEAD_DILATED.items():
        for number in (1, 2, 3, 4):
            inputs = width + (number - 1) * WIDTH
            outputs, side = (width, 1) if number == 4 else (WIDTH, 3)
            scope = f"{SCOPE}merging/{block}_conv{number}/"
            shapes[f"{scope}w{number}"] = (side, side, inputs, outputs)
            shapes[f"{scope}b{number}"] = (outputs,)
    return shapes
