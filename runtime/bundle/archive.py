"""The one zip layout a bundle may have: stored entries, sorted by name, back to back.

Every byte of the structure follows from names, sizes and checksums, so reading re-encodes it
and compares: two readers cannot disagree about an accepted archive, and equal contents give
equal bytes. ``unzip`` and ``zipfile`` read it.
"""

import os
import re
import stat
import struct
import zlib
from collections.abc import Mapping
from typing import IO, NamedTuple

from mgdn_edge.runtime.errors import UserError

MAX_FILE_BYTES = 1 << 30  # the published network's largest file is about 10 MB
MAX_TOTAL_BYTES = 2 << 30  # stays clear of zip64
MAX_FILES = 1000
MAX_NAME_LENGTH = 120
# Letters, digits and ._- in folders that do not start with a dot: no absolute path, no "..",
# no drive, no backslash, no option lookalike.
SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")

LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
VERSION = 20  # 2.0, the lowest with folders in names
MADE_BY_UNIX = 3 << 8
DATE_1980_01_01 = 0x21  # the format's earliest; times would make equal bundles differ
REGULAR_FILE = (stat.S_IFREG | 0o644) << 16


class Entry(NamedTuple):
    """One stored file: where its bytes start in the archive, how many, and their CRC-32."""

    name: str
    offset: int
    size: int
    crc: int


def encode_archive(files: Mapping[str, bytes]) -> bytes:
    """Name -> contents, as one archive; ValueError on an unsafe name."""
    entries, parts, offset = [], [], 0
    for name, data in sorted(files.items()):
        if not is_safe_name(name):
            raise ValueError(f"{name!r} cannot be a name in a bundle")
        crc = zlib.crc32(data)
        header = _local_header(name, len(data), crc)
        entries.append(Entry(name, offset + len(header), len(data), crc))
        parts += [header, data]
        offset += len(header) + len(data)
    return b"".join([*parts, _directory(entries, offset)])


def read_directory(stream: IO[bytes]) -> dict[str, Entry]:
    """Seekable archive -> its entries by name; UserError (one clause) unless laid out as above."""
    total = stream.seek(0, os.SEEK_END)
    if total > MAX_TOTAL_BYTES:
        raise UserError(f"it has {total} bytes, more than {MAX_TOTAL_BYTES}")
    if total < END.size:
        raise UserError(f"it has {total} bytes and is not a zip archive")
    end = _read_at(stream, total - END.size, END.size)
    signature, disk, first_disk, here, count, size, start, comment = END.unpack(end)
    if signature != b"PK\5\6" or comment:
        raise UserError(
            "it does not end like a zip archive: cut short, or bytes follow the end record"
        )
    if disk or first_disk or here != count or count > MAX_FILES:
        raise UserError(f"it claims {count} files on several disks, or more than {MAX_FILES}")
    if start + size + END.size != total:
        raise UserError("its end record does not fit its length: cut short, or bytes were added")
    if size > count * (CENTRAL.size + MAX_NAME_LENGTH):
        raise UserError(f"its zip directory has {size} bytes, too many for {count} files")
    directory = _read_at(stream, start, size)
    entries = _parse_directory(directory, count, start)
    if directory + end != _directory(entries, start):
        raise UserError("its zip directory has fields no bundle has (dates, extras or attributes)")
    for entry in entries:
        header = _local_header(entry.name, entry.size, entry.crc)
        if _read_at(stream, entry.offset - len(header), len(header)) != header:
            raise UserError(f"the local header of {entry.name} disagrees with the zip directory")
    return {entry.name: entry for entry in entries}


def read_entry(stream: IO[bytes], entry: Entry) -> bytes:
    """The entry's bytes; UserError if the file has become shorter meanwhile."""
    return _read_at(stream, entry.offset, entry.size)


def is_safe_name(name: str) -> bool:
    """True for short relative ASCII paths without dot folders."""
    return len(name) <= MAX_NAME_LENGTH and SAFE_NAME.fullmatch(name) is not None


def _parse_directory(directory: bytes, count: int, start: int) -> list[Entry]:
    """Names and sizes, with the reason for each refusal; positions are computed, not read."""
    entries: list[Entry] = []
    position, offset = 0, 0
    for _ in range(count):
        fields = directory[position : position + CENTRAL.size]
        if len(fields) < CENTRAL.size or not fields.startswith(b"PK\1\2"):
            raise UserError("its zip directory is damaged")
        _, _, _, flags, method, _, _, crc, packed, size, name_length, *rest = CENTRAL.unpack(fields)
        extra, comment, _, _, attributes, _ = rest
        position += CENTRAL.size
        name = directory[position : position + name_length].decode("ascii", "replace")
        position += name_length + extra + comment
        if not is_safe_name(name):
            raise UserError(f"it holds a file with the unsafe name {name[:MAX_NAME_LENGTH]!r}")
        if entries and name == entries[-1].name:
            raise UserError(f"it holds {name} twice")
        if entries and name < entries[-1].name:
            raise UserError(f"{name} is out of order; names must ascend")
        if flags & 1:
            raise UserError(f"{name} is encrypted")
        if method or packed != size:
            raise UserError(f"{name} is compressed; a bundle stores its files as they are")
        if stat.S_IFMT(attributes >> 16) not in (0, stat.S_IFREG):
            raise UserError(f"{name} is a link or special file")
        if size > MAX_FILE_BYTES:
            raise UserError(f"{name} has {size} bytes, more than {MAX_FILE_BYTES}")
        offset += LOCAL.size + name_length
        entries.append(Entry(name, offset, size, crc))
        offset += size
    if position != len(directory) or offset != start:
        raise UserError("its files do not fill it: bytes are missing or belong to no file")
    return entries


def _local_header(name: str, size: int, crc: int) -> bytes:
    encoded = name.encode("ascii")
    fields = (VERSION, 0, 0, 0, DATE_1980_01_01, crc, size, size, len(encoded), 0)
    return LOCAL.pack(b"PK\3\4", *fields) + encoded


def _directory(entries: list[Entry], start: int) -> bytes:
    """Central directory and end record for entries that end at ``start``."""
    records = []
    for name, offset, size, crc in entries:
        encoded = name.encode("ascii")
        fields = (VERSION | MADE_BY_UNIX, VERSION, 0, 0, 0, DATE_1980_01_01, crc, size, size)
        lengths = (len(encoded), 0, 0, 0, 0)
        header = offset - LOCAL.size - len(encoded)
        records.append(CENTRAL.pack(b"PK\1\2", *fields, *lengths, REGULAR_FILE, header) + encoded)
    directory = b"".join(records)
    count = len(entries)
    return directory + END.pack(b"PK\5\6", 0, 0, count, count, len(directory), start, 0)


def _read_at(stream: IO[bytes], offset: int, size: int) -> bytes:
    stream.seek(offset)
    data = stream.read(size)
    if len(data) != size:
        raise UserError(f"it ended at byte {offset + len(data)}: cut short")
    return data
