"""Parse an ONNX file with NVIDIA's TensorRT-RTX parser and build an engine, without a GPU.

Usage: python rtx_build.py FILE.onnx. A process of its own: the parser aborts on what it cannot
take. Prints the number of layers and the engine's bytes; exit code 1 with the parser's words.
"""

import sys
from pathlib import Path

import tensorrt_rtx_bindings as bindings

rtx = bindings.tensorrt_rtx if hasattr(bindings, "tensorrt_rtx") else bindings


def build(path: Path) -> int:
    logger = rtx.Logger(rtx.Logger.ERROR)
    builder = rtx.Builder(logger)
    network = builder.create_network(0)
    parser = rtx.OnnxParser(network, logger)
    if not parser.parse(path.read_bytes()):
        for number in range(parser.num_errors):
            print(parser.get_error(number), file=sys.stderr)
        return 1
    engine = builder.build_serialized_network(network, builder.create_builder_config())
    if engine is None:
        print("the builder returned no engine", file=sys.stderr)
        return 1
    print(network.num_layers, engine.nbytes)
    return 0


if __name__ == "__main__":
    raise SystemExit(build(Path(sys.argv[1])))
