import platform

import pytest

from mgdn_edge.runtime.machine.processor_class import processor_class


@pytest.mark.parametrize(
    "machine, text, wanted",
    [
        ("x86_64", "model name\t: X\nflags\t\t: fpu avx2 avx512f avx512_vnni\n", "x86_64 vnni"),
        ("x86_64", "flags\t\t: fpu avx2 avx_vnni\n", "x86_64 vnni"),
        ("x86_64", "flags\t\t: fpu avx2 avx512f\n", "x86_64"),
        ("aarch64", "Features\t: fp asimd asimddp\n", "aarch64 dotprod"),
        ("aarch64", "Features\t: fp asimd asimddp i8mm\n", "aarch64 i8mm"),
        ("aarch64", "Features\t: fp asimd\n", "aarch64"),
        ("riscv64", "isa\t: rv64gc\n", "riscv64"),
    ],
)
def test_the_instructions_that_matter_are_found(tmp_path, monkeypatch, machine, text, wanted):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(text)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert processor_class(tmp_path) == wanted


def test_a_hidden_proc_leaves_the_architecture(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert processor_class(tmp_path) == "x86_64"
