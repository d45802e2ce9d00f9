import pytest

from mgdn_edge.runtime.machine import power
from mgdn_edge.runtime.machine.power import EnergyMeter, integrate, read_rails


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setattr(power, "read_gpus", lambda: ())


def rail(root, device, channel, label, millivolts, milliamperes, name="ina3221"):
    folder = root / "sys/class/hwmon" / device
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{name}\n")
    for kind, text in (
        (f"in{channel}_label", label),
        (f"in{channel}_input", millivolts),
        (f"curr{channel}_input", milliamperes),
    ):
        (folder / kind).write_text(f"{text}\n")


def test_rails_are_volts_times_amperes_of_labelled_channels(tmp_path):
    rail(tmp_path, "hwmon1", 1, "VDD_IN", 4960, 1500)
    rail(tmp_path, "hwmon1", 2, "VDD_CPU_GPU_CV", 4952, 400)
    rail(tmp_path, "hwmon1", 3, "NC", 5000, 8)
    rail(tmp_path, "hwmon1", 7, "sum of shunt voltages", 9, 9)
    rail(tmp_path, "hwmon2", 1, "fan", 12000, 100, name="pwmfan")
    assert read_rails(tmp_path) == pytest.approx({"VDD_IN": 7.44, "VDD_CPU_GPU_CV": 1.9808})


def test_energy_is_the_area_under_the_watts():
    samples = [(0.0, {"a": 2.0}), (1.0, {"a": 4.0}), (3.0, {"a": 4.0})]
    energy = integrate(samples)
    assert energy.total == energy.joules["a"] == 3 + 8
    assert (energy.seconds, energy.samples) == (3.0, 3)


def test_a_rail_before_all_others_is_the_total_and_others_are_added_up():
    both = {"VDD_IN": 5.0, "VDD_SOC": 1.0}
    assert integrate([(0, both), (2, both)]).total == 10
    orin = {"VDD_GPU_SOC": 5.0, "VDD_CPU_CV": 1.0, "VIN_SYS_5V0": 4.0}
    energy = integrate([(0, orin), (2, orin)])
    assert energy.total == 20
    assert energy.total_of == "VDD_CPU_CV + VDD_GPU_SOC + VIN_SYS_5V0"


@pytest.mark.parametrize(
    "samples", [[], [(0.0, {"a": 1.0})], [(0.0, {}), (1.0, {})], [(1.0, {"a": 1.0})] * 2]
)
def test_nothing_measured_is_none(samples):
    assert integrate(samples) is None


def test_a_rail_that_stops_answering_is_left_out():
    samples = [(0.0, {"a": 1.0, "b": 1.0}), (1.0, {"a": 1.0}), (2.0, {"a": 1.0, "b": 1.0})]
    assert integrate(samples).joules == {"a": 2.0}


def test_the_meter_samples_while_something_runs(tmp_path):
    rail(tmp_path, "hwmon1", 1, "VDD_IN", 5000, 2000)
    with EnergyMeter(tmp_path, period_s=0.001) as meter:
        while len(meter._samples) < 5:
            pass
    assert meter.energy.samples >= 5
    assert meter.energy.total == pytest.approx(10 * meter.energy.seconds)


def test_without_sensors_no_thread_runs_and_there_is_no_energy(tmp_path):
    with EnergyMeter(tmp_path) as meter:
        assert not meter._thread.is_alive()
    assert meter.energy is None
