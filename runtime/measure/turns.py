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
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.measure.timing_loop import TimingLoop
from mgdn_edge.runtime.pairing.frame_stamps import FrameStamps

# Above any block of ours; larger than mallopt takes, which is why the environment must say it.
KEPT_PAGES = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 32),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 33),
    "MALLOC_TOP_PAD_": str(1 << 28),
}
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # proc(5): the peak becomes what is resident now
KIB = 1024

Work = Callable[[], object]


class Contender(msgspec.Struct, frozen=True):
    """``prepare(*arguments)``, importable in a new process, returns what is timed.

    Inputs and the result's memory are made by ``prepare``, so what a run needs beyond them counts
    as its own.
    """

    name: str
    prepare: Callable[..., Work]
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
    progress: Progress = SILENT,
) -> list[TurnFigures]:
    """Time every contender ``rounds`` times, in turns, after ``warmup`` runs that do not count.

    ``progress`` advances by every run of one, the warm-up's too. One that fails, for want of a
    package or of memory, has a ``failure`` and the others go on.
    """
    workers = [_Worker(contender) for contender in contenders]

    def run_told(worker: _Worker, number: int) -> FrameStamps | None:
        progress.advance(0, worker.contender.name)
        stamps = worker.run()
        progress.advance()
        return stamps

    try:
        loop = TimingLoop([partial(run_told, worker) for worker in workers])
        loop.warm_up(warmup)
        for _ in loop.take_turns(rounds):
            pass
        return [worker.finish(loop.times_ns(i), warmup) for i, worker in enumerate(workers)]
    finally:
        for worker in workers:
            worker.stop()


class _Worker:
    """One contender's process and the figures it has sent."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.cpu_ns: list[int] = []  # of every run, those that warm up too
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

    def run(self) -> FrameStamps | None:
        """One run; the clock that stamps it is the same in all processes."""
        answer = self._ask("run")
        if answer is None:
            return None
        self.cpu_ns.append(answer["cpu"])
        return FrameStamps(paired_ns=answer["begin"], copied_out_ns=answer["end"])

    def finish(self, times_ns: npt.NDArray[np.int64], warmup: int) -> TurnFigures:
        """What the counted runs took."""
        memory = self._ask("memory") or {}
        if self.failure:
            return TurnFigures(self.contender.name, failure=self.failure)
        return TurnFigures(
            self.contender.name,
            times_ns.tolist(),
            self.cpu_ns[warmup:],
            memory["extra"],
            memory["peak"],
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


def _serve(pipe: Connection, prepare: Callable[..., Work], arguments: tuple[Any, ...]) -> None:
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
        begin, cpu = time.perf_counter_ns(), time.process_time_ns()
        try:
            run()
        except (MemoryError, RuntimeError, ValueError) as error:
            pipe.send({"failure": f"{type(error).__name__}: {error}"})
            return
        end, cpu = time.perf_counter_ns(), time.process_time_ns() - cpu
        pipe.send({"begin": begin, "end": end, "cpu": cpu})


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
