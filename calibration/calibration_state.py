"""CalibrationState: an observation that an interruption costs at most half a minute of.

The file beside the output holds the histograms so far; the same network and the same pairs go on
from it, anything else begins anew. It goes when the observation is complete.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from mgdn_edge.calibration.histogram import open_histogram
from mgdn_edge.calibration.observation import Observer
from mgdn_edge.calibration.pairs import FramePair
from mgdn_edge.runtime.bundle.ranges import PairDigest, TensorRange
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.whole_file import write_whole

SAVE_SECONDS = 30


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str
    done: int
    tensors: dict[str, TensorRange]


class CalibrationState:
    """The observation of ``pairs`` by ``model`` (ONNX bytes), kept beside ``output``."""

    def __init__(self, output: Path, model: bytes, pairs: Sequence[PairDigest]) -> None:
        digest = hashlib.sha256(model)
        digest.update(msgspec.json.encode(pairs))
        self.key = digest.hexdigest()
        self.path = output.with_name(f".{output.name}.calibration")
        self.observer = Observer(model)
        self.done = self._resume()

    def observe(self, pairs: Iterable[FramePair], on_pair: Callable[[], None]) -> None:
        """Add the pairs from number ``done`` on; saved now and then, and when interrupted."""
        saved = time.monotonic()
        try:
            for pair in pairs:
                self.observer.add(pair)
                self.done += 1
                if time.monotonic() - saved > SAVE_SECONDS:
                    self._save()
                    saved = time.monotonic()
                on_pair()
        except KeyboardInterrupt:
            self._save()
            raise

    def finish(self) -> dict[str, TensorRange]:
        """Every tensor's range; the file goes."""
        self.path.unlink(missing_ok=True)
        return self._ranges()

    def _ranges(self) -> dict[str, TensorRange]:
        return {name: found.finish() for name, found in self.observer.histograms.items()}

    def _resume(self) -> int:
        try:
            stored = msgspec.json.decode(self.path.read_bytes(), type=_Stored)
        except (OSError, msgspec.DecodeError):  # none, or one cut short: begin anew
            return 0
        if stored.key != self.key:
            return 0
        found = {name: open_histogram(each) for name, each in stored.tensors.items()}
        self.observer.histograms.update(found)
        return stored.done

    def _save(self) -> None:
        if not self.done:
            return
        try:
            write_whole(
                self.path, msgspec.json.encode(_Stored(self.key, self.done, self._ranges()))
            )
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror}") from error
