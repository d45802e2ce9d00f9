"""The chunks of a PNG file: one walk for all who look into one before, or without, decoding it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEAD, CHECKSUM = struct.Struct(">L4s"), struct.Struct(">L")  # length and kind; over kind and body


class Chunk(NamedTuple):
    """One whole chunk; its body is ``data[begin:end]`` of the file's bytes."""

    kind: bytes
    begin: int
    end: int

    @property
    def following(self) -> int:
        """Where the next chunk begins."""
        return self.end + CHECKSUM.size


def walk_chunks(data: bytes) -> Iterator[Chunk]:
    """A file's bytes -> its chunks in order; none without the signature.

    It ends before the first chunk that the file does not hold whole. Checksums are not looked at.
    """
    if not data.startswith(PNG_SIGNATURE):
        return
    position = len(PNG_SIGNATURE)
    while position + HEAD.size + CHECKSUM.size <= len(data):
        length, kind = HEAD.unpack_from(data, position)
        chunk = Chunk(kind, position + HEAD.size, position + HEAD.size + length)
        if chunk.following > len(data):
            return
        yield chunk
        position = chunk.following


def is_sound(data: bytes, chunk: Chunk) -> bool:
    """Whether the checksum of one of the file's chunks is right."""
    (checksum,) = CHECKSUM.unpack_from(data, chunk.end)
    return bool(zlib.crc32(data[chunk.begin - len(chunk.kind) : chunk.end]) == checksum)


def encode_chunk(kind: bytes, body: bytes) -> bytes:
    """A kind of four letters and a body -> the chunk's bytes."""
    return HEAD.pack(len(body), kind) + body + CHECKSUM.pack(zlib.crc32(kind + body))
