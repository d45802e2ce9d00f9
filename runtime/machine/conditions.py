"""read_conditions: governor, clocks, temperatures, throttling and power mode of this moment.

Read from /sys, /etc and /var directly, so no daemon and no root is needed. What a machine does
not show is "not readable here", never an error: virtual machines show almost nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from mgdn_edge.runtime.machine.nvml import GpuState, read_gpus
from mgdn_edge.runtime.machine.power import read_rails
from mgdn_edge.runtime.machine.text_file import read_number, read_text

NOT_READABLE = "not readable here"
# nvpmodel writes the mode it has set as "pmode:0002" and finds its name in the configuration as
# "< POWER_MODEL ID=2 NAME=MAXN >" (L4T 32 to 36).
MODE = re.compile(r"pmode:(\d+)")
MODE_NAME = r"^\s*<\s*POWER_MODEL\s+ID=0*{mode}\s+NAME=(\S+?)\s*>"
LOAD_AVERAGES = 3


class Clock(msgspec.Struct, frozen=True):
    """One clock in MHz: now and at most (None where not stated), and who sets it."""

    name: str
    mhz: float
    max_mhz: float | None
    governor: str | None


class Conditions(msgspec.Struct, frozen=True):
    """One moment; empty or None is what this machine does not show.

    ``temperatures`` are degrees Celsius by thermal zone, ``throttle_counts`` events since boot by
    kind ("core", "package"), ``rails`` watts by power rail, ``load`` the load averages over 1, 5
    and 15 minutes.
    """

    power_mode: str | None
    clocks: tuple[Clock, ...]
    temperatures: dict[str, float]
    throttle_counts: dict[str, int]
    rails: dict[str, float]
    gpus: tuple[GpuState, ...]
    load: tuple[float, ...]


def read_conditions(root: Path = Path("/")) -> Conditions:
    """Look at this machine now; ``root`` is where /sys, /etc, /var and /proc are."""
    return Conditions(
        power_mode=read_power_mode(root),
        clocks=(*_cpu_clocks(root), *_device_clocks(root)),
        temperatures=_temperatures(root),
        throttle_counts=_throttle_counts(root),
        rails=read_rails(root),
        gpus=read_gpus(),
        load=_load(root),
    )


def read_power_mode(root: Path) -> str | None:
    """A Jetson's power mode, "2 (MAXN)", or None where there is none."""
    found = MODE.search(read_text(root / "var/lib/nvpmodel/status"))
    if found is None:
        return None
    mode = int(found[1])
    name = re.search(MODE_NAME.format(mode=mode), _mode_table(root), re.MULTILINE)
    return f"{mode} ({name[1]})" if name else str(mode)


def throttled(before: Conditions, after: Conditions) -> dict[str, int]:
    """Throttling events between two moments, by kind; only those that happened."""
    grown = {
        name: count - before.throttle_counts.get(name, 0)
        for name, count in after.throttle_counts.items()
    }
    return {name: count for name, count in grown.items() if count > 0}


def describe_conditions(before: Conditions, after: Conditions) -> dict[str, str]:
    """(name, text) of what held during a run, for tables: each name always, in one order."""
    hottest = max(after.temperatures, key=lambda name: after.temperatures[name], default=None)
    temperature = hottest and (
        f"{hottest} {_span(before.temperatures.get(hottest), after.temperatures[hottest])} °C"
    )
    counts = throttled(before, after)
    events = ", ".join(f"{name} {count} times" for name, count in counts.items())
    throttling = (events or "none") if after.throttle_counts else None
    for gpu in after.gpus:
        reasons = ", ".join(gpu.throttle_reasons) or "none"
        throttling = f"{throttling + '; ' if throttling else ''}{gpu.name}: {reasons}"
    return {
        "power mode": after.power_mode or NOT_READABLE,
        "clocks": ", ".join(_clock_texts(before, after)) or NOT_READABLE,
        "hottest": temperature or NOT_READABLE,
        "throttling": throttling or NOT_READABLE,
        "load before": " ".join(f"{each:.1f}" for each in before.load) or NOT_READABLE,
    }


def _clock_texts(before: Conditions, after: Conditions) -> Iterable[str]:
    earlier = {clock.name: clock.mhz for clock in before.clocks}
    for clock in after.clocks:
        limit = f" of {clock.max_mhz:.0f}" if clock.max_mhz else ""
        governor = f" ({clock.governor})" if clock.governor else ""
        yield f"{clock.name} {_span(earlier.get(clock.name), clock.mhz)}{limit} MHz{governor}"
    for gpu in after.gpus:
        yield f"{gpu.name} {gpu.sm_mhz:.0f} MHz, memory {gpu.memory_mhz:.0f} MHz"


def _span(before: float | None, after: float) -> str:
    """Two rounded values as "a to b", one where they are alike."""
    if before is None or round(before) == round(after):
        return f"{after:.0f}"
    return f"{before:.0f} to {after:.0f}"


def _mode_table(root: Path) -> str:
    """The configuration of nvpmodel: its usual name is a link to one of several in a folder."""
    text = read_text(root / "etc/nvpmodel.conf")
    if text:
        return text
    return "".join(read_text(path) for path in sorted((root / "etc/nvpmodel").glob("*.conf"))[:1])


def _cpu_clocks(root: Path) -> Iterable[Clock]:
    """One clock for each policy: CPUs that share it."""
    folder = root / "sys/devices/system/cpu/cpufreq"
    for policy in sorted(folder.glob("policy*"), key=lambda path: (len(path.name), path.name)):
        now = read_number(policy / "scaling_cur_freq")
        if now is None:
            continue
        most = read_number(policy / "scaling_max_freq")
        cpus = read_text(policy / "related_cpus").split()
        name = f"cpu{'s' * (len(cpus) > 1)} {'-'.join(sorted({cpus[0], cpus[-1]}))}" if cpus else ""
        governor = read_text(policy / "scaling_governor") or None
        yield Clock(name or policy.name, now / 1e3, most and most / 1e3, governor)


def _device_clocks(root: Path) -> Iterable[Clock]:
    """GPU and memory clocks of boards that show them as devfreq (every Jetson's GPU)."""
    for device in sorted((root / "sys/class/devfreq").glob("*")):
        now = read_number(device / "cur_freq")
        if now is not None:
            most = read_number(device / "max_freq")
            governor = read_text(device / "governor") or None
            yield Clock(device.name, now / 1e6, most and most / 1e6, governor)


def _temperatures(root: Path) -> dict[str, float]:
    """Zones that give no reading (a Jetson's are off with what they measure) are left out."""
    found: dict[str, float] = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        value = read_number(zone / "temp")
        if value is not None:
            found[read_text(zone / "type") or zone.name] = value / 1e3
    return found


def _throttle_counts(root: Path) -> dict[str, int]:
    """Events since boot; a package's count is repeated at each of its cores, hence the largest."""
    counts: dict[str, int] = {}
    folder = root / "sys/devices/system/cpu"
    for kind, combine in (("core", sum), ("package", max)):
        files = folder.glob(f"cpu[0-9]*/thermal_throttle/{kind}_throttle_count")
        found = [value for path in files if (value := read_number(path)) is not None]
        if found:
            counts[kind] = int(combine(found))
    for path in sorted((root / "sys/class/hwmon").glob("hwmon*/oc*_event_cnt")):
        value = read_number(path)  # a Jetson's over-current events
        if value is not None:
            counts[path.name.removesuffix("_event_cnt")] = int(value)
    return counts


def _load(root: Path) -> tuple[float, ...]:
    words = read_text(root / "proc/loadavg").split()[:LOAD_AVERAGES]
    return tuple(float(word) for word in words if re.fullmatch(r"\d+\.\d+", word))
