"""What can be exported: each network's variants, their adapters and their weight files."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from torch import nn

from mgdn_edge.export.cadnif_checkpoint import load_cadnif
from mgdn_edge.export.checkpoint import load_mgdn, read_tensors, refuse_differences
from mgdn_edge.export.networks.edge import UPSCALE, MGDNEdge
from mgdn_edge.export.networks.mgdn import VARIANTS, pad_predictors
from mgdn_edge.export.networks.mgdn_ir import build_mgdn_ir
from mgdn_edge.runtime.bundle.fusion_spec import (
    FusionSpec,
    InputSpec,
    OutputRange,
    OutputSpec,
    Stream,
)
from mgdn_edge.runtime.errors import UserError

EDGE = "edge"
IR = "ir"
CADNIF = "cadnif"
CADNIF_REPLICATED = "cadnif-replicated"
EDGE_WEIGHTS = Path(__file__).parent / "weights" / "mgdn-edge.safetensors"
IR_WEIGHTS = Path(__file__).parent / "weights" / "mgdn-ir.safetensors"
PACKAGED = {EDGE: EDGE_WEIGHTS, IR: IR_WEIGHTS}  # variants that need no --checkpoint
RELEASE_MULTIPLE = 8  # the published script's constant, whatever the window

# What can be trained: network -> its untrained core graph.
TRAINED: dict[str, Callable[[], nn.Module]] = {"mgdn-edge": MGDNEdge, "mgdn-ir": build_mgdn_ir}

# Names of each published variant's inputs, in the order of its forward pass.
CORE_INPUTS = {
    "mff": ("first", "second"),
    "mef": ("under", "over"),
    "gdsr-x4": ("rgb", "depth"),
    "gdsr-x8": ("rgb", "depth"),
    "gdsr-x16": ("rgb", "depth"),
    "deghost": ("under", "reference", "over"),
}
# Two RGB images in, one out: the variants that can take visible and infrared luma. The first
# stream carries the residual, so it is the visible one.
FUSING = ("mff", "mef")
# What each channel of CADNIF's two inputs is: as trained, and as the published test script has it.
CADNIF_PLANES: dict[str, tuple[tuple[Stream, ...], tuple[Stream, ...]]] = {
    CADNIF: (("infrared", "infrared", "visible"), ("visible", "visible", "infrared")),
    CADNIF_REPLICATED: (("infrared",) * 3, ("visible",) * 3),
}
LUMA_SPECS = (InputSpec("visible", "visible", 1), InputSpec("infrared", "infrared", 1))


@dataclass(frozen=True)
class LoadedNetwork:
    """A core graph with its weights; ``spec`` pads it, and adapts it to frames if ``fuses``.

    ``inputs`` are (name, channels) in forward order.
    """

    core: nn.Module
    network: str
    variant: str
    inputs: tuple[tuple[str, int], ...]
    spec: FusionSpec
    fuses: bool


def list_variants() -> list[str]:
    """Every name ``load_network`` takes."""
    return [EDGE, IR, *VARIANTS, *CADNIF_PLANES]


def build_network(network: str) -> nn.Module:
    """Network name -> its untrained core graph, (N, 1, H, W) float32 in [0, 1] twice -> one.

    torch's generator decides its start. Raises UserError for a network that is not trained here.
    """
    if network not in TRAINED:
        raise UserError(f"network {network!r} is not trained here; known: {', '.join(TRAINED)}")
    return TRAINED[network]()


def load_network(
    variant: str, checkpoint: Path | None, release_padding: bool, output_range: OutputRange = "clip"
) -> LoadedNetwork:
    """Variant name and weight file -> the network in eval mode, every tensor accounted for.

    ``release_padding`` pads as the published MGDN script does (a size that is a multiple of 8
    still grows by 8), for bit-compatibility with published results. ``output_range`` is the
    FusionSpec's. Raises UserError.
    """
    if variant not in list_variants():
        raise UserError(f"variant {variant!r} is unknown; known: {', '.join(list_variants())}")
    if release_padding and variant not in VARIANTS:
        raise UserError(f"{variant} has no published padding; use --padding minimal")
    checkpoint = checkpoint or PACKAGED.get(variant)
    if checkpoint is None:
        raise UserError(f"{variant} needs its published weights; add --checkpoint FILE")
    if variant == EDGE:
        loaded = load_edge(checkpoint)
    elif variant == IR:
        loaded = load_ir(checkpoint)
    elif variant in CADNIF_PLANES:
        loaded = _load_cadnif(variant, checkpoint)
    else:
        loaded = _load_mgdn(variant, checkpoint, release_padding)
    if output_range == loaded.spec.output_range:
        return loaded
    if not loaded.fuses:
        raise UserError(f"{variant} does not fuse two luma planes; leave out --output-range")
    return replace(loaded, spec=msgspec.structs.replace(loaded.spec, output_range=output_range))


def _load_mgdn(variant: str, checkpoint: Path, release_padding: bool) -> LoadedNetwork:
    sizes = VARIANTS[variant]
    names = CORE_INPUTS[variant]
    fuses = variant in FUSING
    inputs = tuple(zip(names, sizes.inputs, strict=True))
    spec = FusionSpec(
        network="mgdn",
        variant=variant,
        inputs=(
            InputSpec(names[0], "visible", sizes.inputs[0]),
            InputSpec(names[1], "infrared", sizes.inputs[1]),
        ),
        output_channels=sizes.outputs,
        # The core graph pads itself to its window, so the adapter adds nothing by default.
        multiple=RELEASE_MULTIPLE if release_padding else 1,
        pad_rule="release" if release_padding else "minimal",
        pad_mode="symmetric" if release_padding else "reflect",
        global_statistics=True,
    )
    core = load_mgdn(variant, read_tensors(checkpoint), str(checkpoint))
    pad_predictors(core)
    return LoadedNetwork(core, "mgdn", variant, inputs, spec, fuses)


def load_edge(checkpoint: Path) -> LoadedNetwork:
    """The default network from a file written by training."""
    spec = FusionSpec(
        network="mgdn-edge",
        variant=EDGE,
        inputs=LUMA_SPECS,
        output_channels=1,
        multiple=UPSCALE,
        pad_mode="reflect",
    )
    return _load_trained(spec, checkpoint)


def load_ir(checkpoint: Path) -> LoadedNetwork:
    """The reference network on luma planes, from a file written by training."""
    spec = FusionSpec(
        network="mgdn-ir",
        variant=IR,
        inputs=LUMA_SPECS,
        output_channels=1,
        multiple=1,  # the core graph pads itself to its window
        global_statistics=True,
    )
    return _load_trained(spec, checkpoint)


def _load_cadnif(variant: str, checkpoint: Path) -> LoadedNetwork:
    infrared, visible = CADNIF_PLANES[variant]
    # (luma - 127.5) / 127.5, and back.
    spec = FusionSpec(
        network="cadnif",
        variant=variant,
        inputs=(
            InputSpec("infrared", "infrared", 3, 0.5, 0.5, _unless_repeated(infrared)),
            InputSpec("visible", "visible", 3, 0.5, 0.5, _unless_repeated(visible)),
        ),
        output_channels=1,
        global_statistics=True,
        output=OutputSpec(mean=0.5, std=0.5),
    )
    core = load_cadnif(read_tensors(checkpoint), str(checkpoint))
    inputs = tuple((stream.name, stream.channels) for stream in spec.inputs)
    return LoadedNetwork(core, spec.network, variant, inputs, spec, fuses=True)


def _unless_repeated(planes: tuple[Stream, ...]) -> tuple[Stream, ...] | msgspec.UnsetType:
    return msgspec.UNSET if len(set(planes)) == 1 else planes


def _load_trained(spec: FusionSpec, checkpoint: Path) -> LoadedNetwork:
    core = build_network(spec.network)
    tensors = read_tensors(checkpoint)
    expected = {name: tuple(value.shape) for name, value in core.state_dict().items()}
    refuse_differences(str(checkpoint), spec.network, expected, tensors)
    core.load_state_dict(tensors)
    pad_predictors(core)
    inputs = tuple((stream.name, stream.channels) for stream in spec.inputs)
    return LoadedNetwork(core.eval(), spec.network, spec.variant, inputs, spec, fuses=True)
