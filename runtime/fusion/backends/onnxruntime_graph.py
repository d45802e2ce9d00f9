"""load_graph gives ONNX Runtime a graph; what both backends ask of one, and errors in one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mgdn_edge.runtime.bundle.fusion_spec import METADATA_KEY, FusionSpec, decode_spec
from mgdn_edge.runtime.bundle.onnx_file import rewrite_model
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.frame import Size

if TYPE_CHECKING:
    import onnxruntime

INPUTS = ("visible", "infrared")
OUTPUT = "fused"
FILTER_OPERATION = b"DynamicFilter"
# Otherwise ONNX Runtime looks for the mark of its own format in the bytes first.
MODEL_FORMAT = ("session.load_model_format", "ONNX")
CPU_PROVIDER = "CPUExecutionProvider"


def load_graph(
    model: bytes,
    name: str,
    options: onnxruntime.SessionOptions,
    providers: Sequence[str | tuple[str, dict[str, Any]]] = (CPU_PROVIDER,),
) -> onnxruntime.InferenceSession:
    """ONNX bytes, strictly read -> a session: the only place that gives ONNX Runtime a graph.

    UserError, with ``name`` as in rewrite_model, where the bytes are refused; else ONNX Runtime's
    own errors. ``options`` serve one session.
    """
    import onnxruntime

    options.add_session_config_entry(*MODEL_FORMAT)
    return onnxruntime.InferenceSession(
        rewrite_model(model, name), options, providers=list(providers)
    )


def check_interface(
    session: onnxruntime.InferenceSession, spec: FusionSpec, variant: str, size: Size | None
) -> None:
    """UserError unless planes and metadata are those of ``spec``'s frame graph.

    ``size`` is (height, width) of a static graph, None of a dynamic one.
    """
    found = {
        value.name: (value.type, tuple(value.shape))
        for value in (*session.get_inputs(), *session.get_outputs())
    }
    for name in (*INPUTS, OUTPUT):
        kind, shape = found.pop(name, ("missing", ()))
        sides = shape[2:] if size is None else size
        static = all(isinstance(side, int) for side in shape[2:])
        fits = len(shape) == 4 and shape[:2] == (1, 1) and shape[2:] == sides
        if kind != "tensor(uint8)" or not fits or static != (size is not None):
            raise UserError(
                f"variant {variant}: {name} is {kind} {list(shape)}; a frame graph has "
                "uint8 (1, 1, H, W) planes of the variant's size; export the network again"
            )
    if found:
        raise UserError(f"variant {variant} has unknown inputs or outputs {list(found)}")
    metadata = session.get_modelmeta().custom_metadata_map
    try:
        stated = decode_spec(metadata.get(METADATA_KEY, "null"))
    except msgspec.DecodeError as error:
        raise UserError(
            f"variant {variant}: its ONNX metadata holds no valid FusionSpec ({error})"
        ) from error
    if stated != spec:
        raise UserError(
            f"variant {variant}: its ONNX metadata states another FusionSpec than the "
            "manifest; create the bundle again from one export"
        )


def check_static_size(size: Size, wanted: Size | None, variant: str) -> None:
    """UserError unless frames of ``size`` (height, width) fit a graph of ``wanted`` (None: any)."""
    if wanted is not None and size != wanted:
        raise UserError(
            f"frames are {size[1]}x{size[0]} but variant {variant} takes only "
            f"{wanted[1]}x{wanted[0]}; leave out --variant, or give frames of that size"
        )


def runtime_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises: classes of its own, which share no base but Exception.

    A node that fails while outputs are bound is a plain RuntimeError (1.23.2 and 1.32.0).
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = [value for value in vars(state).values() if isinstance(value, type)]
    return (RuntimeError, *(kind for kind in found if issubclass(kind, Exception)))


def first_line(error: Exception) -> str:
    """What ONNX Runtime says first; the rest is its call stack."""
    return str(error).strip().split("\n", 1)[0]
