"""The device half of the CUDA stand-in: memory, and streams that run as late as they may.

What enters a stream is kept until the host waits for something that comes after it. Then exactly
what must have happened by CUDA's ordering rules is run, oldest first, and nothing else: where a
wait is missing, a read really finds old bytes. Beside that, each access is compared with all
earlier ones of the same memory, by vector clocks, and two that conflict without an order between
them break a rule at once.

Times are simulated: each piece of work has a duration, streams run side by side, the host's clock
moves when it waits.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

GARBAGE, POISON = 0xCD, 0xDD  # fresh memory, freed memory
ALIGNMENT = 256
MAPPED_OFFSET = 1 << 44  # the GPU's address of mapped memory is another than the CPU's

Range = tuple[int, int]  # address, bytes
Clock = dict[int, int]  # stream -> how much of its work has happened


class BrokenRuleError(AssertionError):
    """A CUDA rule was broken in a way real hardware punishes late, rarely or silently."""


@dataclass(eq=False)
class Memory:
    kind: str  # "device", "pinned" or "mapped"
    address: int
    size: int
    keeper: object
    offset: int = 0  # of the device's address
    freed: bool = False
    accesses: list[tuple["Work", int, int, bool]] = field(default_factory=list)


@dataclass(eq=False)
class Work:
    label: str
    reads: list[Range]
    writes: list[Range]
    run: Callable[[], None]
    stream: int
    index: int
    clock: Clock
    start: float
    end: float
    done: bool = False


@dataclass(eq=False)
class Stream:
    handle: int
    device: int
    clock: Clock = field(default_factory=dict)
    count: int = 0
    time: float = 0.0
    works: list[Work] = field(default_factory=list)
    capture: list[tuple] | None = None
    capture_broken: bool = False
    capture_thread: int = 0


def join(into: Clock, other: Clock) -> None:
    for stream, index in other.items():
        into[stream] = max(into.get(stream, 0), index)


class Device:
    """Memory and streams. ``detect`` False leaves races to show in the data alone."""

    def __init__(self, *, detect: bool = True, same_address: bool = False) -> None:
        self.detect = detect
        self.offset = 0 if same_address else MAPPED_OFFSET
        self.memories: list[Memory] = []
        self.host_clock: Clock = {}
        self.now = 1.0  # seconds of the host's clock
        self.works: list[Work] = []

    def allocate(self, kind: str, size: int) -> Memory:
        keeper = np.full(size + ALIGNMENT, GARBAGE, np.uint8)
        address = -(-keeper.ctypes.data // ALIGNMENT) * ALIGNMENT
        offset = self.offset if kind == "mapped" else 0
        memory = Memory(kind, address, size, keeper, offset)
        self.memories.append(memory)
        return memory

    def free(self, address: int, kinds: tuple[str, ...]) -> None:
        memory = self.find(address)
        if memory is None or memory.address != address or memory.kind not in kinds:
            raise BrokenRuleError(
                f"{address:#x} is freed but was not allocated as {' or '.join(kinds)}"
            )
        if memory.freed:
            raise BrokenRuleError(f"{address:#x} is freed twice")
        for work, *_ in memory.accesses:
            if not self.happened(work, self.host_clock):
                raise BrokenRuleError(f"memory is freed while {work.label} may still use it")
        memory.freed = True
        self.host_bytes(memory)[:] = POISON

    def find(self, address: int) -> Memory | None:
        """The allocation an address of the host or the device lies in."""
        for memory in self.memories:
            for begin in {memory.address, memory.address + memory.offset}:
                if begin <= address < begin + memory.size:
                    return memory
        return None

    def host_bytes(self, memory: Memory) -> np.ndarray:
        return np.ctypeslib.as_array((ctypes.c_uint8 * memory.size).from_address(memory.address))

    def bytes_at(self, address: int, size: int) -> np.ndarray:
        """Bytes the device sees at its own address, or the host's of page-locked memory."""
        memory = self.check(address, size)
        begin = address - memory.address
        if begin >= memory.size:
            begin -= memory.offset
        return self.host_bytes(memory)[begin : begin + size]

    def check(self, address: int, size: int) -> Memory:
        memory = self.find(address)
        if memory is None:
            raise BrokenRuleError(f"{address:#x} is no memory of CUDA's")
        if memory.freed:
            raise BrokenRuleError(f"{address:#x} is used after it was freed")
        begin = address - memory.address
        begin -= memory.offset if begin >= memory.size else 0
        if begin + size > memory.size:
            raise BrokenRuleError(f"{size} bytes at {address:#x} reach beyond their allocation")
        return memory

    def visible_to_device(self, address: int, size: int) -> None:
        memory = self.check(address, size)
        if memory.kind == "pinned":
            raise BrokenRuleError(
                f"the device is given {address:#x}, host memory that is not mapped"
            )
        if memory.offset and address < memory.address + memory.offset:
            raise BrokenRuleError(f"the device is given the host's address {address:#x}")

    def enter(
        self,
        stream: Stream,
        label: str,
        reads: list[Range],
        writes: list[Range],
        run: Callable[[], None],
        seconds: float,
    ) -> None:
        """Put work into a stream, after all the stream already waits for."""
        stream.count += 1
        join(stream.clock, self.host_clock)
        stream.clock[stream.handle] = stream.count
        start = max(stream.time, self.now)
        stream.time = start + seconds
        work = Work(
            label,
            reads,
            writes,
            run,
            stream.handle,
            stream.count,
            dict(stream.clock),
            start,
            stream.time,
        )
        for accessed, is_write in ((reads, False), (writes, True)):
            for address, size in accessed:
                self._access(work, address, size, is_write)
        self.works.append(work)

    def _access(self, work: Work, address: int, size: int, is_write: bool) -> None:
        memory = self.check(address, size)
        begin = address - memory.address
        begin -= memory.offset if begin >= memory.size else 0
        for earlier, first, last, written in memory.accesses:
            overlap = first < begin + size and begin < last
            if not (overlap and (written or is_write)) or earlier is work:
                continue
            if self.detect and not self.happened(earlier, work.clock):
                verbs = ("writes" if is_write else "reads", "writes" if written else "reads")
                raise BrokenRuleError(
                    f"{work.label} {verbs[0]} what {earlier.label} {verbs[1]} in another stream, "
                    "without an event between them"
                )
        memory.accesses = [
            each for each in memory.accesses if not self.happened(each[0], self.host_clock)
        ]
        memory.accesses.append((work, begin, begin + size, is_write))

    @staticmethod
    def happened(work: Work, clock: Clock) -> bool:
        return clock.get(work.stream, 0) >= work.index

    def run_until(self, clock: Clock, time: float) -> None:
        """The host has waited for ``clock``: run what that needs, in the order it was entered."""
        waiting = []
        for work in self.works:
            if not self.happened(work, clock):
                waiting.append(work)
                continue
            for address, size in (*work.reads, *work.writes):
                self.check(address, size)
            work.run()
            work.done = True
        self.works = waiting
        join(self.host_clock, clock)
        self.now = max(self.now, time)
