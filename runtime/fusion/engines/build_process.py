"""run_build: one engine in a process of its own, so that whatever ends it becomes one sentence.

The kernel kills builders that use up a board's memory, and TensorRT's libraries abort on what
they cannot take; neither may end the program that asked.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import msgspec

from mgdn_edge.runtime.errors import DeviceError
from mgdn_edge.runtime.fusion.engines.build_child import OUT_OF_MEMORY
from mgdn_edge.runtime.fusion.engines.build_protocol import (
    ENGINE_FILE,
    KNOWN_TIMINGS_FILE,
    MODEL_FILE,
    NEW_TIMINGS_FILE,
    REQUEST_FILE,
    BuildEvent,
    BuildRequest,
    Built,
    Failed,
    Logged,
    PhaseBegun,
    StageBegun,
    decode_event,
)

CHILD = "mgdn_edge.runtime.fusion.engines.build_child"
MEMORY_SIGNAL = signal.SIGKILL  # the kernel's out-of-memory killer
# C++'s std::bad_alloc, and what TensorRT, CUDA and the driver say.
MEMORY_WORDS = ("out of memory", "outofmemory", "bad_alloc", "cannot allocate memory")
MORE_MEMORY = "close other programs or add swap"
LESS_MEMORY = ("lower --workspace", "or build a smaller size (--variant)")
LAST_BYTES = 2000  # of what a crashed process printed


class Construction(msgspec.Struct, frozen=True):
    """A finished build: the engine, times of tactics worth keeping, and what happened."""

    engine: bytes
    timings: bytes
    layers: int
    seconds: float
    notes: tuple[str, ...]


def run_build(
    request: BuildRequest,
    model: bytes,
    known_timings: bytes,
    show: Callable[[BuildEvent], None],
    memory: str,
) -> Construction:
    """Build in a subprocess; DeviceError with one sentence where there is no engine.

    ``model`` are verified ONNX bytes, ``known_timings`` the builder's own, perhaps none. ``show``
    gets every event. ``memory`` says what was needed and free, for the sentence of a build that
    ran out of it.
    """
    with tempfile.TemporaryDirectory(prefix="mgdn-build-") as name:
        folder = Path(name)
        (folder / MODEL_FILE).write_bytes(model)
        (folder / KNOWN_TIMINGS_FILE).write_bytes(known_timings)
        (folder / REQUEST_FILE).write_bytes(msgspec.json.encode(request))
        trail = _Trail()

        def follow(event: BuildEvent) -> None:
            trail.add(event)
            show(event)

        with (folder / "output").open("w+b") as output:
            code = _run(folder, output, follow)
            output.seek(max(0, output.seek(0, os.SEEK_END) - LAST_BYTES))
            printed = output.read().decode(errors="replace")
        built = trail.built
        if code or built is None:
            raise _explain(code, trail, printed, memory)
        timings = folder / NEW_TIMINGS_FILE
        return Construction(
            engine=(folder / ENGINE_FILE).read_bytes(),
            timings=timings.read_bytes() if timings.exists() else b"",
            layers=built.layers,
            seconds=built.seconds,
            notes=built.notes,
        )


class _Trail:
    """What a process said that matters if it ends badly."""

    def __init__(self) -> None:
        self.place = "starting"
        self.errors: list[str] = []
        self.reason = ""
        self.built: Built | None = None

    def add(self, event: BuildEvent) -> None:
        if isinstance(event, (StageBegun, PhaseBegun)):
            self.place = event.name
        elif isinstance(event, Logged) and event.severity in ("ERROR", "INTERNAL_ERROR"):
            self.errors.append(event.text)
        elif isinstance(event, Failed):
            self.reason = event.reason
        elif isinstance(event, Built):
            self.built = event


def _run(folder: Path, output: IO[bytes], follow: Callable[[BuildEvent], None]) -> int:
    """The child's exit code, negative for a signal; its events go to ``follow`` as they come."""
    reading, writing = os.pipe()
    # NVIDIA's own deprecations do not concern a user. The working folder is private, because
    # Python looks there for modules first.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", CHILD, str(writing)]
    with os.fdopen(reading, "rb") as events:
        try:
            # A session of its own: Ctrl-C reaches this process alone, which then ends the child.
            child = subprocess.Popen(
                [*command, str(folder)],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[writing],
                start_new_session=True,
            )
        finally:
            os.close(writing)
        try:
            for line in events:
                if line.endswith(b"\n"):  # else a process died while writing it
                    follow(decode_event(line))
            return child.wait()
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()


def _explain(code: int, trail: _Trail, printed: str, memory: str) -> DeviceError:
    """What ended the build, where, and what to type."""
    last_printed = printed.strip().rpartition("\n")[2]
    message = trail.reason or (trail.errors or [""])[0] or last_printed
    everything = " ".join([trail.reason, *trail.errors, printed]).lower()
    place = f"{trail.place[:1].lower()}{trail.place[1:]}"
    if -code == MEMORY_SIGNAL:
        return DeviceError(
            f"the engine build was killed while {place}, as the kernel does when memory runs "
            f"out; {memory}; {MORE_MEMORY}",
            ways=LESS_MEMORY,
        )
    if trail.reason == OUT_OF_MEMORY or any(word in everything for word in MEMORY_WORDS):
        return DeviceError(
            f"the engine build ran out of memory while {place}; {memory}; {MORE_MEMORY}",
            ways=LESS_MEMORY,
        )
    if code < 0:
        name = signal.Signals(-code).name
        return DeviceError(
            f"the builder crashed ({name}) while {place}; its last words: {message or 'none'}"
        )
    return DeviceError(f"no engine: {message or f'the build process ended with code {code}'}")
