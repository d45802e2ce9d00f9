"""The bound in numbers, and the refusal before the board is killed."""

import pytest

from mgdn_edge.runtime.bundle.graph_facts import GraphFacts, NodeFacts, TensorFacts
from mgdn_edge.runtime.errors import DeviceError
from mgdn_edge.runtime.fusion.engines.memory_need import (
    BUILDER_BYTES,
    MIB,
    MemoryNeed,
    available_memory,
    check_memory,
    describe_memory,
    estimate_need,
)

FEATURE = TensorFacts("feature", (1, 30, 48, 64), "float32")
KERNEL = TensorFacts("kernel", (1, 49, 48, 64), "float32")
FILTER = NodeFacts("f", "", "mgdn::DynamicFilter", (FEATURE, KERNEL), (FEATURE,), 0, 0, 0)
FACTS = GraphFacts("net", "plain", 48, 64, (FILTER,), 0, 1000)
NEED = MemoryNeed(builder=100 * MIB, weights=10 * MIB, activations=40 * MIB, workspace=50 * MIB)


def test_the_parts_are_what_they_are_called():
    need = estimate_need(FACTS, (48, 64), 300, 5000, "plugin")
    assert need == MemoryNeed(BUILDER_BYTES, 5 * 300, 1000, 5000)
    assert need.total == BUILDER_BYTES + 7500
    assert need.device == 7500


def test_activations_grow_with_the_area():
    assert estimate_need(FACTS, (96, 128), 0, 0, "plugin").activations == 4000
    assert estimate_need(FACTS, (24, 64), 0, 0, "none").activations == 500


def test_a_function_body_costs_a_tensor_of_its_filter_for_every_tap():
    body = estimate_need(FACTS, (48, 64), 0, 0, "body").activations
    assert body == 1000 + 49 * 30 * 48 * 64 * 4


@pytest.mark.parametrize(
    ("host", "gpu", "passes"),
    [
        (200 * MIB, None, True),  # shared memory: all parts together
        (200 * MIB - 1, None, False),
        (None, None, True),  # unknown
        (110 * MIB, 100 * MIB, True),  # a GPU of its own memory
        (110 * MIB, 100 * MIB - 1, False),
        (110 * MIB - 1, 100 * MIB, False),
        (None, 100 * MIB, True),
    ],
)
def test_memory_is_refused_where_it_may_not_be_enough(host, gpu, passes):
    if passes:
        check_memory(NEED, host, gpu)
        return
    with pytest.raises(DeviceError, match="--ignore-memory") as refused:
        check_memory(NEED, host, gpu)
    assert refused.value.exit_code == 3
    assert "200 MiB (builder 100, weights 10, activations 40, workspace 50)" in str(refused.value)


def test_a_sentence_says_what_is_free_where():
    assert describe_memory(NEED, 7 * MIB, None).endswith("with 7 MiB free")
    assert describe_memory(NEED, 7 * MIB, 3 * MIB).endswith("7 MiB free and 3 MiB free on the GPU")
    assert describe_memory(NEED, None, None).endswith("with an unknown amount free")


def test_available_memory_is_what_the_kernel_says(tmp_path):
    assert available_memory(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(
        "MemTotal:  8 kB\nMemFree: 1 kB\nMemAvailable:    5 kB\n"
    )
    assert available_memory(tmp_path) == 5 * 1024
    (tmp_path / "proc/meminfo").write_text("MemTotal: 8 kB\n")
    assert available_memory(tmp_path) is None
    assert available_memory() > 0
