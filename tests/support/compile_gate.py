"""What the CUDA compiler gives each kernel: registers, stack, spills.

    python tests/support/compile_gate.py

prints a table for docs/LOG.md: registers and the blocks of 128 threads they leave room for on an
SM (65,536 registers, given out in units of 8 a thread).
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
PLUGINS = HERE.parents[2] / "plugins"
KERNEL = PLUGINS / "cuda" / "dynamic_filter.cu"
# Every architecture of a board or card the project names; those an older nvcc lacks are left out.
ARCHITECTURES = (75, 80, 86, 87, 89, 90, 100, 110, 120)
THREADS = 128
REGISTERS = 65536


class Usage(NamedTuple):
    """One kernel on one architecture; ``stack`` and spills in bytes a thread."""

    kernel: str
    registers: int
    stack: int
    spill_stores: int
    spill_loads: int
    shared: int

    @property
    def stays_in_registers(self):
        return not (self.stack or self.spill_stores or self.spill_loads)


ENTRY = re.compile(
    r"Compiling entry function '(\w+)'.*?"
    r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads.*?"
    r"Used (\d+) registers([^\n]*)",
    re.DOTALL,
)


def read_usage(report):
    """The kernels of what ``ptxas -v`` reports."""
    found = []
    for name, stack, stores, loads, registers, rest in ENTRY.findall(report):
        shared = re.search(r"(\d+) bytes smem", rest)
        numbers = (int(registers), int(stack), int(stores), int(loads))
        found.append(Usage(name, *numbers, int(shared[1]) if shared else 0))
    return found


def known_architectures(nvcc):
    listed = subprocess.run([nvcc, "--list-gpu-code"], capture_output=True, text=True, check=True)
    known = {int(number) for number in re.findall(r"sm_(\d+)\b", listed.stdout)}
    return [each for each in ARCHITECTURES if each in known]


def compile_usage(nvcc, source, architecture, *flags):
    """Compile ``source`` to machine code as CMake does; the kernels' usage."""
    with tempfile.TemporaryDirectory() as folder:
        command = [nvcc, "-std=c++14", "-O3", f"-arch=sm_{architecture}", "-cubin", "-Xptxas=-v"]
        command += [*flags, f"-I{PLUGINS}", f"-I{PLUGINS / 'cuda'}", str(source)]
        command += ["-o", str(Path(folder) / "kernels.cubin")]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return read_usage(result.stdout + result.stderr)


def describe(kernel):
    """(K, upscale, storage) of a mangled ``filter_tiles<K, upscale, Scalar>``."""
    size, upscale, storage = re.search(r"filter_tilesILi(\d)ELi(\d)E(f|N)", kernel).groups()
    return int(size), int(upscale), "float32" if storage == "f" else "float16"


def count_blocks(registers):
    return REGISTERS // (THREADS * (-(-registers // 8) * 8))


def main():
    nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    columns = {each: compile_usage(nvcc, KERNEL, each) for each in known_architectures(nvcc)}
    print("| K, upscale, storage |", " | ".join(f"sm_{each}" for each in columns), "|")
    print("|---" * (len(columns) + 1) + "|")
    rows = {}
    for usages in columns.values():
        for usage in usages:
            cell = f"{usage.registers} / {count_blocks(usage.registers)}"
            spilt = "" if usage.stays_in_registers else " SPILLS"
            rows.setdefault(describe(usage.kernel), []).append(cell + spilt)
    for (size, upscale, storage), cells in sorted(rows.items()):
        print(f"| {size}, {upscale}, {storage} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
