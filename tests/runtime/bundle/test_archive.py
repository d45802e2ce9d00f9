import io
import stat
import zipfile
import zlib

import pytest

from mgdn_edge.runtime.bundle import archive
from mgdn_edge.runtime.bundle.archive import (
    encode_archive,
    is_safe_name,
    read_directory,
    read_entry,
)
from mgdn_edge.runtime.errors import UserError

FILES = {"b/two.bin": bytes(range(256)), "a.txt": b"one", "empty": b""}


def zip_of(*items, compression=zipfile.ZIP_STORED) -> bytes:
    """An archive by the standard library, as a stranger would craft it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as crafted:
        for info, data in items:
            crafted.writestr(info, data)
    return stream.getvalue()


def refuse(data: bytes, match: str) -> None:
    with pytest.raises(UserError, match=match):
        read_directory(io.BytesIO(data))


def test_reading_gives_back_what_was_written():
    stream = io.BytesIO(encode_archive(FILES))
    entries = read_directory(stream)
    assert list(entries) == sorted(FILES)
    assert {name: read_entry(stream, entry) for name, entry in entries.items()} == FILES


def test_the_standard_library_reads_it_too():
    with zipfile.ZipFile(io.BytesIO(encode_archive(FILES))) as stranger:
        assert stranger.testzip() is None
        assert {info.filename: stranger.read(info) for info in stranger.infolist()} == FILES


def test_equal_contents_give_equal_bytes_in_whatever_order():
    assert encode_archive(FILES) == encode_archive(dict(reversed(FILES.items())))


def test_an_archive_without_files_is_read_as_one():
    assert read_directory(io.BytesIO(encode_archive({}))) == {}


@pytest.mark.parametrize(
    "name",
    [
        "../escape", "a/../b", "/absolute", "a//b", "a/", "", ".hidden", "a/.hidden", "-option",
        "back\\slash", "C:drive", "new\nline", "trailing\n", "nul\0", "ü", "a" * 121,
    ],
)  # fmt: skip
def test_unsafe_names_are_neither_written_nor_read(name):
    assert not is_safe_name(name)
    with pytest.raises(ValueError, match="cannot be a name"):
        encode_archive({name: b""})
    # As long as a safe name, so only the name itself is wrong.
    if name.isascii() and 0 < len(name) < 100:
        safe = "x" * len(name)
        data = encode_archive({safe: b"1"}).replace(safe.encode(), name.encode())
        refuse(data, "unsafe name")


def test_a_name_twice_is_refused():
    data = encode_archive({"aa": b"1", "ab": b"1"}).replace(b"ab", b"aa")
    refuse(data, "holds aa twice")


def test_names_out_of_order_are_refused():
    refuse(zip_of(("b", b"1"), ("a", b"1")), "out of order")


def test_a_symbolic_link_is_refused():
    link = zipfile.ZipInfo("link")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    refuse(zip_of((link, b"/etc/passwd")), "link or special file")


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compressed_file_is_refused(kind):
    refuse(zip_of(("bomb", bytes(100_000)), compression=kind), "compressed")


def test_an_encrypted_file_is_refused():
    data = bytearray(encode_archive({"a": b"1"}))
    data[data.index(b"PK\1\2") + 8] |= 1
    refuse(bytes(data), "encrypted")


def test_comments_extra_fields_and_dates_are_refused():
    commented = zipfile.ZipInfo("a")
    commented.comment = b"hello"
    extra = zipfile.ZipInfo("a")
    extra.extra = b"\x01\x00\x02\x00ab"
    dated = zipfile.ZipInfo("a", (2026, 11, 21, 0, 0, 0))
    for info in (commented, extra, dated):
        with pytest.raises(UserError, match=r"fields no bundle has|bytes are missing or belong"):
            read_directory(io.BytesIO(zip_of((info, b"1"))))


@pytest.mark.parametrize("tail", [b"\0", b"x" * 100, encode_archive({"z": b""})])
def test_trailing_bytes_are_refused(tail):
    with pytest.raises(UserError, match=r"cut short, or bytes (follow|were added)"):
        read_directory(io.BytesIO(encode_archive(FILES) + tail))


@pytest.mark.parametrize("head", [b"\0", b"#!/bin/sh\n"])
def test_leading_bytes_are_refused(head):
    with pytest.raises(UserError, match="end record does not fit its length"):
        read_directory(io.BytesIO(head + encode_archive(FILES)))


def test_every_truncation_is_refused():
    data = encode_archive(FILES)
    for length in range(len(data)):
        with pytest.raises(UserError):
            read_directory(io.BytesIO(data[:length]))


def test_a_flipped_bit_anywhere_in_the_structure_is_refused():
    data = encode_archive({"a": b"payload"})
    start = data.index(b"payload")
    for position in [*range(start), *range(start + 7, len(data))]:
        damaged = bytearray(data)
        damaged[position] ^= 1
        with pytest.raises(UserError):
            read_directory(io.BytesIO(damaged))


def test_a_local_header_that_disagrees_is_refused():
    data = bytearray(encode_archive({"aa": b"1"}))
    data[30] = ord("b")
    refuse(bytes(data), "disagrees")


def test_size_limits_hold(monkeypatch):
    data = encode_archive({"a": bytes(100), "b": b""})
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 99)
    refuse(data, "a has 100 bytes, more than 99")
    monkeypatch.setattr(archive, "MAX_FILES", 1)
    refuse(data, "more than 1")
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 50)
    refuse(data, "more than 50")


def test_a_stranger_writing_the_documented_layout_is_accepted():
    info = zipfile.ZipInfo("a")
    info.create_system = 3
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    data = zip_of((info, b"1"))
    assert data == encode_archive({"a": b"1"})
    (entry,) = read_directory(io.BytesIO(data)).values()
    assert entry.crc == zlib.crc32(b"1")


def test_a_directory_too_large_for_its_files_is_refused_unread(tmp_path):
    size = 1 << 30
    with (tmp_path / "sparse").open("w+b") as stream:
        stream.truncate(size)
        stream.seek(size)
        stream.write(archive.END.pack(b"PK\5\6", 0, 0, 1, 1, size, 0, 0))
        with pytest.raises(UserError, match="too many for 1 files"):
            read_directory(stream)
