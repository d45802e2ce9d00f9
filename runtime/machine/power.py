"""EnergyMeter: watts of a board's power rails while something runs, integrated to joules.

Jetson modules measure their supply with an INA3221, which Linux shows as a hwmon device: volts
and amperes of up to three channels with a label each. GPUs report their watts through NVML.
"""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path
from types import TracebackType

import msgspec

from mgdn_edge.runtime.machine.nvml import read_gpus
from mgdn_edge.runtime.machine.text_file import read_number, read_text

SENSOR = "ina3221"
CHANNELS = (1, 2, 3)  # higher numbers are shunt voltages and their sum
# The rail before all others, where a module has one; AGX Orin has not, so its rails are added up.
TOTALS = ("VDD_IN", "VIN", "POM_5V_IN")
PERIOD_S = 0.05  # the INA3221 averages over a few ms to tens of ms


class Energy(msgspec.Struct, frozen=True):
    """Joules over ``seconds`` by rail, ``total`` among them; ``samples`` readings each."""

    joules: dict[str, float]
    total: float
    total_of: str
    seconds: float
    samples: int


def read_rails(root: Path = Path("/")) -> dict[str, float]:
    """Watts now by rail's label; empty where no sensor is readable."""
    watts: dict[str, float] = {}
    for device in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if read_text(device / "name") != SENSOR:
            continue
        for channel in CHANNELS:
            millivolts = read_number(device / f"in{channel}_input")
            milliamperes = read_number(device / f"curr{channel}_input")
            label = read_text(device / f"in{channel}_label")
            if millivolts is not None and milliamperes is not None and label not in ("", "NC"):
                watts[label] = millivolts * milliamperes / 1e6
    return watts


def read_watts(root: Path = Path("/")) -> dict[str, float]:
    """Watts now by rail and by GPU; empty where nothing is measured."""
    watts = read_rails(root)
    for gpu in read_gpus():
        if gpu.watts is not None:
            watts[gpu.name] = gpu.watts
    return watts


class EnergyMeter:
    """Samples watts in a thread of its own between enter and exit; then ``energy`` has the joules.

    ``energy`` is None where nothing is measured here. The whole board is measured: what else runs
    on it, and what it takes idle, is in the figure.
    """

    def __init__(self, root: Path = Path("/"), period_s: float = PERIOD_S) -> None:
        self.energy: Energy | None = None
        self._root, self._period_s = root, period_s
        self._samples: list[tuple[float, dict[str, float]]] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="energy", daemon=True)

    def __enter__(self) -> EnergyMeter:
        if self._take():
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        if self._thread.ident is not None:
            self._thread.join()
            self._take()
            self.energy = integrate(self._samples)

    def _sample(self) -> None:
        while not self._done.wait(self._period_s):
            self._take()

    def _take(self) -> bool:
        watts = read_watts(self._root)
        self._samples.append((time.perf_counter(), watts))
        return bool(watts)


def integrate(samples: list[tuple[float, dict[str, float]]]) -> Energy | None:
    """[(seconds, watts by rail), ...] in order -> joules by the trapezoid rule.

    Rails missing from any sample are left out; None where none remains or no time passed.
    """
    if len(samples) < 2 or samples[-1][0] <= samples[0][0]:
        return None
    rails = set.intersection(*(set(watts) for _, watts in samples))
    if not rails:
        return None
    joules = {
        rail: sum(
            (later[0] - earlier[0]) * (earlier[1][rail] + later[1][rail]) / 2
            for earlier, later in itertools.pairwise(samples)
        )
        for rail in sorted(rails)
    }
    whole = next((rail for rail in TOTALS if rail in joules), None)
    return Energy(
        joules=joules,
        total=joules[whole] if whole else sum(joules.values()),
        total_of=whole or " + ".join(joules),
        seconds=samples[-1][0] - samples[0][0],
        samples=len(samples),
    )
