"""CalibrationState: an observation that an interruption costs at most half a minute of.

The file beside the output holds the histograms so far. Its name tells network and pairs apart:
the same go on from it, anything else has another file. It goes when the observation is complete.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from mgdn_edge.calibration.histogram import open_histogram
from mgdn_edge.calibration.range_observer import RangeObserver
from mgdn_edge.runtime.bundle.ranges import PairDigest, TensorRange
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.pairing.recordings import FramePair
from mgdn_edge.runtime.whole_file import write_whole

SAVE_SECONDS = 30
KEY_DIGITS = 16  # of a key in a file's name; the file holds the whole key


class _StoredObservation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str
    done: int
    tensors: dict[str, TensorRange]


class CalibrationState:
    """The observation of ``pairs`` by ``model`` (ONNX bytes), kept beside ``output``."""

    def __init__(self, output: Path, model: bytes, pairs: Sequence[PairDigest]) -> None:
        digest = hashlib.sha256(model)
        digest.update(msgspec.json.encode(pairs))
        self.key = digest.hexdigest()
        self.path = output.with_name(f".{output.name}.{self.key[:KEY_DIGITS]}.calibration")
        self.observer = RangeObserver(model)
        self.done = self._resume()
        self._ours = self.done > 0 or not self.path.exists()

    def observe(self, pairs: Iterable[FramePair], progress: Progress = SILENT) -> None:
        """Add the pairs from number ``done`` on; saved now and then, and when interrupted."""
        saved = time.monotonic()
        try:
            for pair in pairs:
                self.observer.add(pair)
                self.done += 1
                if time.monotonic() - saved > SAVE_SECONDS:
                    with suppress(OSError):  # costs nothing unless it is interrupted too
                        self._save()
                    saved = time.monotonic()
                progress.advance()
        except KeyboardInterrupt:
            try:
                self._save()
            except OSError as error:
                raise UserError(
                    f"interrupted, and cannot keep the observation in {self.path} "
                    f"({error.strerror}); it begins anew next time"
                ) from None
            raise

    def finish(self) -> dict[str, TensorRange]:
        """Every tensor's range; the file goes."""
        if self._ours:
            self.path.unlink(missing_ok=True)
        return self._ranges()

    def _ranges(self) -> dict[str, TensorRange]:
        return {name: found.finish() for name, found in self.observer.histograms.items()}

    def _resume(self) -> int:
        try:
            stored = msgspec.json.decode(self.path.read_bytes(), type=_StoredObservation)
        except (OSError, msgspec.DecodeError):  # none, or not of an observation: begin anew
            return 0
        if stored.key != self.key:
            return 0
        found = {name: open_histogram(each) for name, each in stored.tensors.items()}
        self.observer.histograms.update(found)
        return stored.done

    def _save(self) -> None:
        if self.done and self._ours:
            stored = _StoredObservation(self.key, self.done, self._ranges())
            write_whole(self.path, msgspec.json.encode(stored))
