"""Frame graphs of other precisions, as a calibration would leave them.

Ranges are those of noise: a builder looks at types and structure only.
"""

from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16

from mgdn_edge.export.dynamic_filter_body import OPERATOR
from mgdn_edge.runtime.measure.timing_loop import draw_pair

# Exponentials and sums over a frame need float32, Resize's scales are float32 in any graph.
FLOAT32_OPERATORS = ("Resize", "ReduceL2", "Softmax", "LayerNormalization")
CALIBRATION_PAIRS = 2


def with_float16(model: bytes) -> bytes:
    """float16 with explicit casts around what stays float32.

    That includes every operation whose function body holds float32 constants: DynamicFilter's
    holds none, those of attention and token layers do.
    """
    proto = onnx.load_from_string(model)
    bodies = [function.name for function in proto.functions if function.name != OPERATOR]
    return convert_float_to_float16(
        proto, keep_io_types=True, op_block_list=[*FLOAT32_OPERATORS, *bodies]
    ).SerializeToString()


class DrawnPairs(CalibrationDataReader):
    """A few drawn pairs of one size."""

    def __init__(self, size: tuple[int, int]) -> None:
        pairs = [draw_pair(size, seed) for seed in range(CALIBRATION_PAIRS)]
        self._left = [
            {"visible": visible[None, None], "infrared": infrared[None, None]}
            for visible, infrared in pairs
        ]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self._left.pop() if self._left else None


def with_quantized_convolutions(model: Path, output: Path, size: tuple[int, int]) -> bytes:
    """Symmetric 8-bit Q/DQ around convolutions, none on biases: what TensorRT's parser takes."""
    quantize_static(
        model,
        output,
        DrawnPairs(size),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        extra_options={"ActivationSymmetric": True, "QuantizeBias": False},
    )
    return output.read_bytes()
