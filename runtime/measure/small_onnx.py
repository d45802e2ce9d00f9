"""encode_model: an ONNX file of a few nodes, for measurements, without the onnx package."""

from __future__ import annotations

from collections.abc import Sequence

FLOAT, OPSET, IR_VERSION = 1, 13, 8

Node = tuple[str, Sequence[str], str]  # operator, inputs, output


def encode_model(nodes: Sequence[Node], inputs: str, output: str, shape: Sequence[int]) -> bytes:
    """Nodes in order; every tensor is float32 of ``shape``; ``inputs`` are one letter each."""
    kind = _message(1, _number(1, FLOAT) + _message(2, b"".join(map(_side, shape))))
    graph = b"".join(_message(1, _node(*node)) for node in nodes) + _text(2, "small")
    graph += b"".join(_message(11, _text(1, name) + _message(2, kind)) for name in inputs)
    graph += _message(12, _text(1, output) + _message(2, kind))
    return _number(1, IR_VERSION) + _message(7, graph) + _message(8, _number(2, OPSET))


def _node(operator: str, inputs: Sequence[str], output: str) -> bytes:
    """A NodeProto named after its output."""
    read = b"".join(_text(1, name) for name in inputs)
    return read + _text(2, output) + _text(3, output) + _text(4, operator)


def _side(length: int) -> bytes:
    return _message(1, _number(1, length))


def _number(field: int, value: int) -> bytes:
    return bytes([field << 3]) + _varint(value)


def _message(field: int, data: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(data)) + data


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
