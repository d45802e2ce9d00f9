"""Fake /sys trees: what a Jetson Orin, a laptop and a bare virtual machine show."""

import sys
from types import SimpleNamespace

import msgspec
import pytest

from mgdn_edge.runtime.machine import nvml
from mgdn_edge.runtime.machine.conditions import (
    NOT_READABLE,
    describe_conditions,
    read_conditions,
    read_power_mode,
    throttled,
)

CPU = "sys/devices/system/cpu"
ORIN_MODES = """
# NAME=IGNORED
< PARAM TYPE=FILE NAME=CPU_ONLINE >
< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=1 NAME=25W >
< POWER_MODEL ID=2 NAME=MAXN_SUPER >
< POWER_MODEL ID=12 NAME=NEVER >
< PM_CONFIG DEFAULT=1 >
"""


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    """The machine that runs the tests may have one."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    nvml._open_nvml.cache_clear()
    yield
    nvml._open_nvml.cache_clear()


def lay(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def orin(tmp_path):
    return lay(
        tmp_path,
        {
            "var/lib/nvpmodel/status": "pmode:0002\n",
            "etc/nvpmodel.conf": ORIN_MODES,
            f"{CPU}/cpufreq/policy0/scaling_cur_freq": "1510400\n",
            f"{CPU}/cpufreq/policy0/scaling_max_freq": "1728000\n",
            f"{CPU}/cpufreq/policy0/scaling_governor": "schedutil\n",
            f"{CPU}/cpufreq/policy0/related_cpus": "0 1 2 3\n",
            f"{CPU}/cpufreq/policy4/scaling_cur_freq": "729600\n",
            f"{CPU}/cpufreq/policy4/related_cpus": "4\n",
            "sys/class/devfreq/17000000.gpu/cur_freq": "612000000\n",
            "sys/class/devfreq/17000000.gpu/max_freq": "1020000000\n",
            "sys/class/devfreq/17000000.gpu/governor": "nvhost_podgov\n",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "51218\n",
            "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
            "sys/class/thermal/thermal_zone1/temp": "53500\n",
            "sys/class/thermal/thermal_zone2/type": "cv0-thermal\n",  # off: no reading
            "sys/class/hwmon/hwmon3/oc1_event_cnt": "4\n",
            "sys/class/hwmon/hwmon1/name": "ina3221\n",
            "sys/class/hwmon/hwmon1/in1_label": "VDD_IN\n",
            "sys/class/hwmon/hwmon1/in1_input": "5000\n",
            "sys/class/hwmon/hwmon1/curr1_input": "1400\n",
            "proc/loadavg": "0.52 1.10 0.98 1/345 1234\n",
        },
    )


def test_an_orin_shows_everything(orin):
    found = read_conditions(orin)
    assert found.power_mode == "2 (MAXN_SUPER)"
    first, second, gpu = found.clocks
    assert (first.name, first.mhz, first.max_mhz) == ("cpus 0-3", 1510.4, 1728.0)
    assert first.governor == "schedutil"
    assert (second.name, second.max_mhz, second.governor) == ("cpu 4", None, None)
    assert (gpu.name, gpu.mhz) == ("17000000.gpu", 612.0)
    assert found.temperatures == {"cpu-thermal": 51.218, "gpu-thermal": 53.5}
    assert found.throttle_counts == {"oc1": 4}
    assert found.rails == {"VDD_IN": 7.0}
    assert found.load == (0.52, 1.10, 0.98)
    assert found.gpus == ()


def test_the_mode_table_may_be_in_a_folder(tmp_path):
    lay(tmp_path, {"var/lib/nvpmodel/status": "pmode:0001 fmode:quiet\n"})
    assert read_power_mode(tmp_path) == "1"
    lay(tmp_path, {"etc/nvpmodel/nvpmodel_p3767_0000.conf": ORIN_MODES})
    assert read_power_mode(tmp_path) == "1 (25W)"


def test_a_bare_machine_is_not_readable_and_no_error(tmp_path):
    found = read_conditions(tmp_path)
    told = describe_conditions(found, found)
    assert set(told.values()) == {NOT_READABLE}
    assert msgspec.json.decode(msgspec.json.encode(found))["clocks"] == []


@pytest.mark.parametrize("text", ["", "n/a", "\x00\xff"])
def test_unreadable_numbers_are_left_out(orin, text):
    names = (
        f"{CPU}/cpufreq/policy0/scaling_cur_freq",
        "sys/class/thermal/thermal_zone0/temp",
        "sys/class/hwmon/hwmon3/oc1_event_cnt",
        "proc/loadavg",
        "var/lib/nvpmodel/status",
    )
    lay(orin, dict.fromkeys(names, text))
    found = read_conditions(orin)
    assert [clock.name for clock in found.clocks] == ["cpu 4", "17000000.gpu"]
    assert list(found.temperatures) == ["gpu-thermal"]
    assert (found.throttle_counts, found.load, found.power_mode) == ({}, (), None)


def test_throttling_is_what_was_added(tmp_path):
    counts = {"core": ("3", "5"), "package": ("7", "7")}
    for kind, values in counts.items():
        for cpu, value in enumerate(values):
            name = f"{CPU}/cpu{cpu}/thermal_throttle/{kind}_throttle_count"
            lay(tmp_path, {name: value})
    before = read_conditions(tmp_path)
    assert before.throttle_counts == {"core": 8, "package": 7}
    lay(tmp_path, {f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "9"})
    after = read_conditions(tmp_path)
    assert throttled(before, after) == {"core": 4}
    assert describe_conditions(before, before)["throttling"] == "none"
    assert describe_conditions(before, after)["throttling"] == "core 4 times"


def test_changes_during_a_run_are_told(orin):
    before = read_conditions(orin)
    changed = {
        f"{CPU}/cpufreq/policy0/scaling_cur_freq": "1113600",
        "sys/class/thermal/thermal_zone1/temp": "71000",
    }
    told = describe_conditions(before, read_conditions(lay(orin, changed)))
    assert told["clocks"].startswith("cpus 0-3 1510 to 1114 of 1728 MHz (schedutil), cpu 4 730 MHz")
    assert told["hottest"] == "gpu-thermal 54 to 71 °C"
    assert told["power mode"] == "2 (MAXN_SUPER)"


class NVMLError(Exception):
    """As the module's own."""


def fake_nvml(**changes):
    def refuse(*_):
        raise NVMLError

    values = {
        "NVMLError": NVMLError,
        "NVML_CLOCK_SM": 1,
        "NVML_CLOCK_MEM": 2,
        "NVML_TEMPERATURE_GPU": 0,
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: index if index == 0 else refuse(),
        "nvmlDeviceGetName": lambda device: b"NVIDIA Thor",
        "nvmlDeviceGetPowerUsage": lambda device: 41500,
        "nvmlDeviceGetClockInfo": lambda device, kind: {1: 1200, 2: 4266}[kind],
        "nvmlDeviceGetTemperature": lambda device, kind: 66,
        "nvmlDeviceGetCurrentClocksThrottleReasons": lambda device: 0x1 | 0x4 | 0x40,
    }
    return SimpleNamespace(**{**values, **changes}, refuse=refuse)


def test_a_gpu_is_read_through_nvml(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml())
    nvml._open_nvml.cache_clear()
    found = read_conditions(tmp_path)
    (gpu,) = found.gpus  # the second cannot be opened
    assert (gpu.name, gpu.sm_mhz, gpu.memory_mhz, gpu.celsius) == ("NVIDIA Thor", 1200, 4266, 66)
    assert (gpu.watts, gpu.throttle_reasons) == (41.5, ("power cap", "hardware thermal slowdown"))
    told = describe_conditions(found, found)
    assert told["throttling"] == "NVIDIA Thor: power cap, hardware thermal slowdown"
    assert "1200 MHz" in told["clocks"]


def test_a_driver_that_does_not_answer_or_measure_power(monkeypatch):
    fake = fake_nvml()
    fake.nvmlDeviceGetPowerUsage = fake.refuse
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    nvml._open_nvml.cache_clear()
    assert nvml.read_gpus()[0].watts is None
    fake.nvmlInit = fake.refuse
    nvml._open_nvml.cache_clear()
    assert nvml.read_gpus() == ()
