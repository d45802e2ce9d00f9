"""What a builder is asked, and the JSON lines it answers through a pipe."""

from __future__ import annotations

import msgspec

# Files of the folder that a build is given and leaves its results in.
REQUEST_FILE = "request.json"
MODEL_FILE = "model.onnx"
ENGINE_FILE = "model.engine"
KNOWN_TIMINGS_FILE = "known.timings"
NEW_TIMINGS_FILE = "new.timings"


class BuildRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One engine to build from the model in the same folder.

    ``module`` is the builder's Python module, ``plugin`` the absolute path of a library to load
    first, empty for none. Sides in pixels; ``workspace_bytes`` bounds one layer's scratch memory.
    """

    module: str
    height: int
    width: int
    workspace_bytes: int
    tf32: bool
    optimization_level: int
    plugin: str = ""
    plugin_sha256: str = ""


class StageBegun(msgspec.Struct, frozen=True, tag=True):
    """Our own stages: importing, loading the plugin, parsing, building, saving."""

    name: str


class PhaseBegun(msgspec.Struct, frozen=True, tag=True):
    """A phase of the builder's, inside ``parent`` ("" at the root), of ``steps`` steps."""

    name: str
    parent: str
    steps: int


class StepDone(msgspec.Struct, frozen=True, tag=True):
    """Step number ``step``, from 0, of a phase."""

    name: str
    step: int


class PhaseEnded(msgspec.Struct, frozen=True, tag=True):
    """A phase is over, perhaps before all its steps."""

    name: str


class Logged(msgspec.Struct, frozen=True, tag=True):
    """A sentence of the builder's own log; ``severity`` is its name, such as "ERROR"."""

    severity: str
    text: str


class Built(msgspec.Struct, frozen=True, tag=True):
    """The engine is in its file; ``notes`` are sentences for the user."""

    layers: int
    seconds: float
    notes: tuple[str, ...] = ()


class Failed(msgspec.Struct, frozen=True, tag=True):
    """No engine, for a reason the builder's process could say itself."""

    reason: str


BuildEvent = StageBegun | PhaseBegun | StepDone | PhaseEnded | Logged | Built | Failed


def encode_event(event: BuildEvent) -> bytes:
    """One line, newline included."""
    return msgspec.json.encode(event) + b"\n"


def decode_event(line: bytes) -> BuildEvent:
    """One line -> event; raises msgspec.DecodeError, as where a dying process cut it short."""
    decoded: BuildEvent = msgspec.json.decode(line, type=BuildEvent)
    return decoded
