"""``take_turns``: contenders timed in processes of their own, one run of each after the other.

A process of its own gives each contender its own memory: its peak is its alone. Turns make a busy
machine slow them alike, so ratios hold. Every process keeps freed pages, which is decided before
it starts: glibc maps larger blocks afresh each time however mallopt is called later, and eager
PyTorch can spend most of its time in page faults.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

# Above any block of ours; larger than mallopt takes, which is why the environment must say it.
KEPT_PAGES = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 32),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 33),
    "MALLOC_TOP_PAD_": str(1 << 28),
}
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # proc(5): the peak becomes what is resident now
KIB = 1024

Run = Callable[[], object]


class Contender(msgspec.Struct, frozen=True):
    """``prepare(*arguments)``, importable in a new process, returns what is timed.

    Inputs and the result's memory are made by ``prepare``, so what a run needs beyond them counts
    as its own.
    """

    name: str
    prepare: Callable[..., Run]
    arguments: tuple[Any, ...] = ()


class TurnFigures(msgspec.Struct, frozen=True):
    """One contender's runs: wall and processor nanoseconds, and resident bytes.

    ``extra_bytes`` is the peak beyond what was resident before the first run, ``peak_bytes`` the
    peak of the whole process. ``failure`` says why it could not run, with nothing measured.
    """

    name: str
    wall_ns: list[int] = msgspec.field(default_factory=list)
    cpu_ns: list[int] = msgspec.field(default_factory=list)
    extra_bytes: int = 0
    peak_bytes: int = 0
    failure: str | None = None


def take_turns(
    contenders: Sequence[Contender],
    *,
    rounds: int,
    warmup: int = 1,
    on_turn: Callable[[str, int], None] = lambda name, done: None,
) -> list[TurnFigures]:
    """Time every contender ``rounds`` times, in turns, after ``warmup`` runs that do not count.

    ``on_turn(name, turns done)`` is called before each turn. One that fails, for want of a package
    or of memory, has a ``failure`` and the others go on.
    """
    workers = [_Worker(contender) for contender in contenders]
    try:
        done = 0
        for turn in range(warmup + rounds):
            for worker in workers:
                on_turn(worker.contender.name, done)
                worker.run(counted=turn >= warmup)
                done += 1
        return [worker.finish() for worker in workers]
    finally:
        for worker in workers:
            worker.stop()


class _Worker:
    """One contender's process and the figures it has sent."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.wall: list[int] = []
        self.cpu: list[int] = []
        self.failure: str | None = None
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(theirs, contender.prepare, contender.arguments), daemon=True
        )
        with _environment(KEPT_PAGES):
            self.process.start()
        theirs.close()
        self._ask(None)  # prepared before anybody's first turn

    def run(self, *, counted: bool) -> None:
        answer = self._ask("run")
        if answer and counted:
            self.wall.append(answer["wall"])
            self.cpu.append(answer["cpu"])

    def finish(self) -> TurnFigures:
        memory = self._ask("memory") or {}
        if self.failure:
            return TurnFigures(self.contender.name, failure=self.failure)
        return TurnFigures(
            self.contender.name, self.wall, self.cpu, memory["extra"], memory["peak"]
        )

    def stop(self) -> None:
        self.pipe.close()
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.kill()

    def _ask(self, question: str | None) -> dict[str, Any] | None:
        """Send a question, None only waits; None comes back from a contender that has failed."""
        if self.failure:
            return None
        try:
            if question:
                self.pipe.send(question)
            answer: dict[str, Any] = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(timeout=5)
            code = self.process.exitcode
            killed = " (killed, probably for memory)" if code == -9 else ""
            self.failure = f"its process ended with {code}{killed}"
            return None
        self.failure = answer.get("failure")
        return None if self.failure else answer


def _serve(pipe: Connection, prepare: Callable[..., Run], arguments: tuple[Any, ...]) -> None:
    """The contender's process: prepare, then a run or the memory figures for each question."""
    try:
        run = prepare(*arguments)
    except (ImportError, MemoryError, RuntimeError, ValueError, OSError) as error:
        pipe.send({"failure": f"{type(error).__name__}: {error}"})
        return
    before = _resident("VmRSS")
    CLEAR.write_text(RESET_PEAK)
    pipe.send({})
    while True:
        try:
            question = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        if question == "memory":
            peak = _resident("VmHWM")
            pipe.send({"extra": max(0, peak - before), "peak": peak})
            continue
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        try:
            run()
        except (MemoryError, RuntimeError, ValueError) as error:
            pipe.send({"failure": f"{type(error).__name__}: {error}"})
            return
        pipe.send({"wall": time.perf_counter_ns() - wall, "cpu": time.process_time_ns() - cpu})


def _resident(field: str) -> int:
    """A memory field of /proc/self/status in bytes."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * KIB


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set for children started inside; what was there comes back."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
