"""Every instantiation of the CUDA kernel stays in registers on every architecture."""

import shutil

import pytest
from support.compile_gate import ARCHITECTURES, KERNEL, compile_usage, describe, known_architectures

pytestmark = [pytest.mark.nvcc, pytest.mark.slow]

# Also where a Jetson keeps it off the path.
NVCC = shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")
INSTANTIATIONS = {
    (k, s, storage) for k in (3, 5, 7) for s in (1, 2, 4) for storage in ("float16", "float32")
}


KNOWN = known_architectures(NVCC) if NVCC else ARCHITECTURES


@pytest.mark.parametrize(
    "architecture",
    [
        pytest.param(
            each,
            marks=pytest.mark.skipif(
                each not in KNOWN, reason=f"this nvcc does not know sm_{each}; another version does"
            ),
        )
        for each in ARCHITECTURES
    ],
)
def test_nothing_spills(nvcc, architecture):
    usages = compile_usage(nvcc, KERNEL, architecture)
    assert {describe(usage.kernel) for usage in usages} == INSTANTIATIONS
    assert len(usages) == len(INSTANTIATIONS)
    assert not [usage for usage in usages if not usage.stays_in_registers]
    assert max(usage.shared for usage in usages) < 48 * 1024  # more must be asked for at launch


def test_a_spill_is_noticed(nvcc, tmp_path):
    bounds = "__launch_bounds__(THREADS, BlocksPerProcessor<K>)"
    text = KERNEL.read_text()
    assert bounds in text
    source = tmp_path / "crowded.cu"
    source.write_text(text.replace(bounds, "__launch_bounds__(1024)"))  # 64 registers
    usages = compile_usage(nvcc, source, 75)
    spilt = {describe(each.kernel)[0] for each in usages if not each.stays_in_registers}
    assert 7 in spilt  # 196 weights
    assert all(each.spill_stores for each in usages if describe(each.kernel)[0] == 7)


def test_a_local_array_is_noticed(nvcc, tmp_path):
    source = tmp_path / "local_array.cu"
    source.write_text(
        'extern "C" __global__ void pick(const int* from, int* to) {'
        " int own[64]; for (int i = 0; i < 64; ++i) own[i] = from[i];"
        " to[0] = own[from[64]] + own[from[65]]; own[from[66]] = 1; to[1] = own[from[67]]; }"
    )
    (usage,) = compile_usage(nvcc, source, 75)
    assert usage.stack >= 256
    assert not usage.stays_in_registers
