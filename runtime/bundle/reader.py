"""Bundle: an opened ``.mgdn`` file whose contents are handed out only after their digest fits."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path
from types import TracebackType
from typing import IO

from mgdn_edge.runtime.bundle.archive import Entry, read_directory, read_entry
from mgdn_edge.runtime.bundle.export_record import GRAPH_FILE
from mgdn_edge.runtime.bundle.manifest import (
    MANIFEST_FILE,
    MAX_MANIFEST_BYTES,
    MAX_SIGNATURE_BYTES,
    SIGNATURE_FILE,
    FileRef,
    Manifest,
    Variant,
    decode_manifest,
    listed_files,
)
from mgdn_edge.runtime.errors import UserError, printable


class Bundle:
    """A ``.mgdn`` file held open, its manifest decoded; a context manager.

    ``read`` checks size and SHA-256 of the very bytes it returns, each time, so a file that
    changes on disk after opening is noticed and nothing unverified reaches a parser.
    """

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        """Use ``open_bundle``; raises UserError with a clause that lacks the path."""
        self.path = path
        self._stream = stream
        self._entries = read_directory(stream)
        self.signed = SIGNATURE_FILE in self._entries
        self.manifest = self._read_manifest()
        self._refs = self._match_files()

    def read(self, ref: FileRef) -> bytes:
        """The verified bytes of one listed file; UserError where checksum or digest is off."""
        if self._refs.get(ref.path) != ref:
            raise ValueError(f"{ref.path} is not a reference from this bundle's manifest")
        entry = self._entries[ref.path]
        data = read_entry(self._stream, entry)
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise UserError(
                f"bundle {self.path} is damaged: {ref.path} does not have the digest its "
                "manifest states; copy or create the bundle again"
            )
        if zlib.crc32(data) != entry.crc:  # other zip readers would refuse what we accept
            raise UserError(
                f"bundle {self.path} is damaged: {ref.path} does not have the checksum the "
                "archive states; copy or create the bundle again"
            )
        return data

    def read_graph_facts(self) -> bytes:
        """The verified bytes of ``graph.json``."""
        return self.read(self._refs[GRAPH_FILE])

    def variant(self, name: str) -> Variant:
        """The variant of that name; UserError naming those there are."""
        for variant in self.manifest.variants:
            if variant.name == name:
                return variant
        names = ", ".join(variant.name for variant in self.manifest.variants)
        raise UserError(f"bundle {self.path} has no variant {name!r}; it has: {names}")

    def verify(self) -> int:
        """Check every file's digest; the number of files. UserError at the first that fails."""
        for ref in self._refs.values():
            self.read(ref)
        return len(self._refs)

    def close(self) -> None:
        """Close the file; ``read`` must not be called afterwards."""
        self._stream.close()

    def __enter__(self) -> Bundle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read_manifest(self) -> Manifest:
        text = self._read_small(MANIFEST_FILE, MAX_MANIFEST_BYTES)
        if self.signed:
            self._read_small(SIGNATURE_FILE, MAX_SIGNATURE_BYTES)
        return decode_manifest(text)

    def _read_small(self, name: str, limit: int) -> bytes:
        """A file no digest covers: its CRC-32 at least catches accidents."""
        entry: Entry | None = self._entries.get(name)
        if entry is None:
            raise UserError(f"it holds no {name}")
        if entry.size > limit:
            raise UserError(f"its {name} has {entry.size} bytes, more than {limit}")
        data = read_entry(self._stream, entry)
        if zlib.crc32(data) != entry.crc:
            raise UserError(f"its {name} does not have the checksum the archive states")
        return data

    def _match_files(self) -> dict[str, FileRef]:
        """Listed files by path, after checking that listed and stored are the same set."""
        refs = {ref.path: ref for ref in listed_files(self.manifest)}
        stored = self._entries.keys() - {MANIFEST_FILE, SIGNATURE_FILE}
        for path in sorted(refs.keys() ^ stored):
            lack = "lists" if path in refs else "does not list"
            held = "is not in it" if path in refs else "is in it"
            raise UserError(f"its manifest {lack} {path}, which {held}")
        if GRAPH_FILE not in refs:
            raise UserError(f"its manifest does not list {GRAPH_FILE}")
        for path, ref in refs.items():
            if self._entries[path].size != ref.bytes:
                raise UserError(
                    f"{path} has {self._entries[path].size} bytes where its manifest states "
                    f"{ref.bytes}"
                )
        return refs


def open_bundle(path: Path | str) -> Bundle:
    """Open and check structure and manifest; UserError in one sentence on any refusal.

    Order: zip structure, manifest size, manifest contents, listed against stored files. Digests
    are checked when a file is read. The caller closes the bundle.
    """
    path = Path(path)
    try:
        stream = path.open("rb", buffering=0)  # what is read is what the file holds now
    except OSError as error:
        raise UserError(
            f"cannot open bundle {path}: {error.strerror}; a .mgdn file is needed "
            "(see: mgdn bundle create --help)"
        ) from error
    try:
        return Bundle(path, stream)
    except UserError as error:
        stream.close()
        # The clause may quote what a stranger wrote into the file.
        raise UserError(f"{path} is not a usable bundle: {printable(str(error), 300)}") from error
    except OSError as error:
        stream.close()
        raise UserError(f"cannot read bundle {path}: {error.strerror}") from error
