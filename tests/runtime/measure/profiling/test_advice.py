"""Each rule on a profile made for it, and on one it must not speak of."""

import msgspec
import pytest

from mgdn_edge.runtime.machine.conditions import Clock
from mgdn_edge.runtime.machine.nvml import GpuState
from mgdn_edge.runtime.measure.profiling import advice
from mgdn_edge.runtime.measure.profiling.advice import advise


def told(report):
    sentences = advise(report)
    assert len(sentences) == 3 or len(report.parts) < 2
    assert all(sentence.endswith((".", ")")) and "\n" not in sentence for sentence in sentences)
    return sentences


@pytest.fixture
def sound(crafted):
    """Nothing wrong: two convolutions at half of the roof."""
    return crafted.report(crafted.part("core.a/Conv", 6.0), crafted.part("core.b/Conv", 3.0))


def change(report, **changes):
    return msgspec.structs.replace(report, **changes)


def test_a_sound_profile_names_the_top_cost_the_next_and_the_limit(sound):
    first, second, third = told(sound)
    assert first.startswith("The top cost is core.a/Conv: 6.00 ms, 60 % of the frame")
    assert "all Conv together 9.00 ms, 90 %" in first
    assert "its arithmetic is the limit" in first and "fewer channels" in first
    assert second == "Next comes core.b/Conv with 3.00 ms, 30 % of the frame."
    assert "would need 4.5 of their 9.0 ms" in third and "at most 2.0 times" in third


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        ("memory", "moving its tensors is the limit (0.0 GB/s, 50 % of the machine's 40.0)"),
        ("neither", "it reaches 50 % of what memory and arithmetic allow here (3.00 ms)"),
        (None, "its bytes and arithmetic are unknown"),
    ],
)
def test_the_remedy_follows_what_bounds_the_top_cost(crafted, bound, words):
    report = crafted.report(crafted.part("a/X", 6.0, "X", bound=bound), crafted.part("b/Y", 1.0))
    assert words in told(report)[0]


def test_the_longest_part_is_named_wherever_it_stands(crafted):
    parts = [crafted.part(f"p{i}/Op", ms, "Op") for i, ms in enumerate((1.0, 2.0, 0.5, 4.0, 1.0))]
    assert told(crafted.report(*parts))[0].startswith("The top cost is p3/Op: 4.00 ms")


@pytest.fixture
def bodies(crafted):
    body = crafted.part("core.f/DynamicFilter", 5.0, "DynamicFilter", kernels=55, how="order")
    parts = (crafted.part("core.a/Conv", 4.0), body)
    return crafted.report(*parts, filter_implementation="function body")


def test_a_missing_native_library_says_how_to_get_it(bodies, monkeypatch):
    monkeypatch.setattr(advice, "find_library", lambda: None)
    first, second, _ = told(bodies)
    assert "core.f/DynamicFilter" in first and "55 standard kernels of its function body" in first
    assert "native operations are not used" in second and "50 % of the frame" in second
    assert advice.HOW_TO_BUILD in second


def test_a_native_library_left_out_says_which_option(bodies, monkeypatch, tmp_path):
    monkeypatch.setattr(advice, "find_library", lambda: tmp_path)
    assert "leave out --filter body" in told(bodies)[1]
    assert "--filter" not in " ".join(told(change(bodies, filter_implementation="native")))


def test_reorders_above_a_tenth_are_called_out(crafted):
    def report(ms):
        layout = crafted.part("Reorder", ms, "ReorderInput", is_layout=True, module="core.kv")
        return crafted.report(crafted.part("core.a/Conv", 6.0), layout, crafted.part("b/Conv", 1))

    assert "1 kernels only change the layout" in told(report(1.5))[1]
    assert "ReorderInput" in told(report(1.5))[1] and "core.kv" in told(report(1.5))[1]
    assert "layout" not in " ".join(told(report(0.9)))


def test_kernels_that_only_move_tensors_are_summed(crafted):
    moving = [
        crafted.part(f"m{i}/Add", 0.6, "Add", bound="memory", bytes=1 << 20) for i in range(3)
    ]
    sentence = told(crafted.report(crafted.part("core.a/Conv", 6.0), *moving))[1]
    assert "3 kernels mostly move tensors (Add): 3 MiB in 1.80 ms, 18 % of the frame" in sentence
    few = told(crafted.report(crafted.part("core.a/Conv", 6.0), *moving[:1]))
    assert "mostly move" not in " ".join(few)
    convolutions = [crafted.part(f"c{i}/Conv", 0.6, bound="memory") for i in range(3)]
    other = told(crafted.report(crafted.part("core.a/Conv", 6.0), *convolutions))
    assert "mostly move" not in " ".join(other)


def test_padding_of_a_dynamic_variant_says_which_static_one_to_export(crafted):
    gather = crafted.part("Gather_3", 2.0, "Gather", how="unknown", nodes=(), bound="memory")
    report = crafted.report(crafted.part("core.a/Conv", 6.0), gather)
    assert "the longest is Gather): 2.00 ms" in told(report)[1]
    assert "mgdn export --size 10x10" in told(report)[1]
    assert "mgdn export" not in " ".join(told(change(report, variant="640x480")))


def test_time_between_kernels(sound):
    account = msgspec.structs.replace(sound.account, between_ms=1.5)
    assert (
        "1.50 ms, 15 % of the frame pass between 2 kernels"
        in told(change(sound, account=account))[1]
    )


def test_copies(sound, crafted):
    stages = {**sound.stages, "copy_in": crafted.percentiles(1.2)}
    assert "Session.acquire()" in told(change(sound, stages=stages))[1]


def test_idle_cpus(sound):
    assert "try --threads 8" in told(change(sound, usable_cpus=8))[1]
    assert "--threads" not in " ".join(told(change(sound, usable_cpus=1)))


def test_throttling_is_said_before_everything_else(bodies, crafted):
    before, after = (crafted.conditions(throttle_counts={"core": n}) for n in (3, 7))
    report = change(bodies, conditions=(before, after))
    assert "throttled during the run (core 4 times)" in told(report)[1]
    assert "throttled" not in " ".join(told(change(bodies, conditions=(after, after))))


def test_a_gpus_throttle_reasons_count(sound, crafted):
    gpu = GpuState("Orin", 900, 3000, 80, None, ("power cap",))
    report = change(sound, conditions=(crafted.conditions(), crafted.conditions(gpus=(gpu,))))
    assert "throttled during the run (power cap)" in told(report)[1]


def test_a_governor_that_holds_clocks_down(sound, crafted):
    def report(mhz, governor):
        clock = Clock("cpus 0-3", mhz, 2000.0, governor)
        return change(sound, conditions=(crafted.conditions(), crafted.conditions(clocks=(clock,))))

    assert (
        "powersave governor holds cpus 0-3 at 800 of 2000 MHz" in told(report(800, "powersave"))[1]
    )
    for mhz, governor in ((1900, "powersave"), (800, "performance")):
        assert "governor" not in " ".join(told(report(mhz, governor)))


def test_unsteady_frames(sound, crafted):
    stages = {**sound.stages, "infer": crafted.percentiles(10.0, 16.0)}
    assert "95 % within 16.0 ms but half within 10.0" in told(change(sound, stages=stages))[1]


def test_findings_are_ordered_by_the_milliseconds_they_concern(sound, crafted):
    stages = {**sound.stages, "copy_in": crafted.percentiles(1.2)}
    sentences = told(change(sound, stages=stages, usable_cpus=8))
    assert "--threads 8" in sentences[1] and "acquire" in sentences[2]


def test_no_kernels_and_no_figures(crafted):
    assert advise(crafted.report(crafted.part("a/Op", 1.0), parts=[])) == [
        "The runtime reported no kernels, so there is nothing to advise."
    ]
    lone = crafted.report(crafted.part("a/Op", 1.0, "Op", roof_ms=0.0, bound=None))
    assert "no limit can be given" in told(lone)[-1]
