"""The native library's interface: what it refuses, and what it says when it is not there."""

import ctypes
import re
import subprocess

import numpy as np
import pytest

from mgdn_edge.plugins import native, reference
from mgdn_edge.plugins.native import Implementation, NativeLibraryError


def arrays(n=1, c=2, h=40, w=20, k=3, s=1, dtype=np.float32):
    rng = np.random.default_rng(3)
    feature = rng.standard_normal((n, c, h, w)).astype(dtype)
    return feature, rng.standard_normal((n, k * k, h // s, w // s)).astype(dtype)


@pytest.mark.native
@pytest.mark.parametrize("threads", [1, 2, 3, 64])
def test_threads_do_not_change_a_bit(threads):
    feature, kernel = arrays()
    alone = native.dynamic_filter(feature, kernel, 3, threads=1)
    np.testing.assert_array_equal(native.dynamic_filter(feature, kernel, 3, threads=threads), alone)


@pytest.mark.native
def test_best_is_the_widest_usable():
    usable = native.usable_implementations()
    assert Implementation.CORE in usable
    assert native.best_implementation() == max(usable)


@pytest.mark.native
def test_the_cuda_function_is_there_exactly_where_architectures_are():
    exported = hasattr(native.load_library(), "mgdn_dynamic_filter_enqueue")
    assert exported == bool(native.cuda_architectures())
    for architecture in native.cuda_architectures():
        assert re.fullmatch(r"\d+a?(-real|-virtual)?", architecture)


@pytest.mark.native
@pytest.mark.readelf
def test_the_library_needs_nothing_but_the_c_library():
    # Not ldd, which runs the library's loader and so knows this machine's kind only.
    listed = subprocess.run(
        ["readelf", "-d", str(native.find_library())], capture_output=True, text=True, check=True
    )
    needed = re.findall(r"\(NEEDED\).*\[(\w+)[-.]", listed.stdout)
    assert needed
    assert set(needed) <= {"libc", "libm", "ld", "libpthread", "libdl", "librt"}


@pytest.mark.native
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kernel_size": 9}, "kernel is"),
        ({"upscale": 3}, "upscale is 3"),
        ({"threads": 0}, "threads is 0"),
        ({"kernel": np.zeros((1, 9, 40, 20))}, "both must be float32"),
        ({"kernel": np.zeros((1, 9, 40, 20), np.float16)}, "both must be float32"),
        ({"feature": np.zeros((2, 40, 20), np.float32)}, r"must be \(N, C, H, W\)"),
        ({"feature": np.zeros((1, 0, 40, 20), np.float32)}, "at least 1"),
    ],
)
def test_arguments_outside_the_contract_are_refused(change, words):
    feature, kernel = arrays()
    given = {"feature": feature, "kernel": kernel, "kernel_size": 3} | change
    with pytest.raises(ValueError, match=words):
        native.dynamic_filter(**given)


@pytest.mark.native
def test_a_kernel_size_only_the_reference_has_is_refused():
    feature, kernel = arrays(k=9)
    with pytest.raises(ValueError, match="3, 5 or 7"):
        native.dynamic_filter(feature, kernel, 9)


@pytest.fixture
def call():
    """One valid call as the C interface takes it, to be spoilt; the arrays stay alive."""
    feature, kernel = arrays()
    out = np.empty_like(feature)
    pointers = [array.ctypes.data for array in (feature, kernel, out)]
    filter_ = native._Filter(*pointers, *feature.shape, 3, 1, 0, 0)
    filter_.keep_alive = (feature, kernel, out)
    return filter_


def count_bands(filter_):
    bands = ctypes.c_int64(-1)
    return native.load_library().mgdn_dynamic_filter_bands(filter_, bands), bands.value


@pytest.mark.native
def test_an_image_is_cut_into_bands(call):
    status, bands = count_bands(call)
    assert (status, bands) == (0, 4)  # 40 rows in bands of 12


@pytest.mark.native
@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("feature", None, 1),
        ("kernel", None, 1),
        ("out", None, 1),
        ("batch", 0, 2),
        ("channels", -1, 2),
        ("height", 0, 2),
        ("width", 2**62, 2),
        ("kernel_size", 4, 3),
        ("kernel_size", 9, 3),
        ("upscale", 0, 3),
        ("storage", 2, 3),
        ("implementation", 5, 3),
        ("implementation", -1, 3),
    ],
)
def test_every_broken_promise_has_its_status(call, field, value, status):
    setattr(call, field, value)
    assert count_bands(call) == (status, -1)
    library = native.load_library()
    assert library.mgdn_dynamic_filter_run(call, 0, 1) == status
    assert len(library.mgdn_status_text(status)) > 20


@pytest.mark.native
def test_an_upscale_that_does_not_divide_is_refused(call):
    call.upscale, call.height = 2, 39
    assert count_bands(call)[0] == 2


@pytest.mark.native
@pytest.mark.parametrize("bands", [(-1, 1), (0, 5), (2, 1)])
def test_bands_outside_the_image_are_refused(call, bands):
    assert native.load_library().mgdn_dynamic_filter_run(call, *bands) == 4


@pytest.mark.native
def test_null_is_refused():
    assert native.load_library().mgdn_dynamic_filter_run(None, 0, 1) == 1


@pytest.mark.native
@pytest.mark.parametrize(
    "implementation",
    [
        Implementation.BEST,
        Implementation.CORE,
        Implementation.BASELINE,
        pytest.param(Implementation.AVX2, marks=pytest.mark.avx2),
        pytest.param(Implementation.AVX512, marks=pytest.mark.avx512),
    ],
)
@pytest.mark.parametrize(("h", "w"), [(1, 1), (17, 63), (33, 65), (16, 129)])
def test_only_the_bands_asked_for_are_written(implementation, h, w):
    feature, kernel = arrays(1, 7, h, w)
    guard = 64
    memory = np.full(feature.size + 2 * guard, 77, np.float32)
    pointers = feature.ctypes.data, kernel.ctypes.data, memory[guard:].ctypes.data
    filter_ = native._Filter(*pointers, *feature.shape, 3, 1, 0, int(implementation))
    assert native.load_library().mgdn_dynamic_filter_run(filter_, 0, 1) == 0
    assert (memory[:guard] == 77).all()
    assert (memory[-guard:] == 77).all()
    out = memory[guard:-guard].reshape(feature.shape)
    assert (out[:, :, 12:] == 77).all()
    assert not (out[:, :, :12] == 77).any()


@pytest.mark.native
@pytest.mark.parametrize("misalignment", range(0, 64, 4))
def test_a_large_result_may_begin_anywhere_in_a_cache_line(misalignment):
    feature, kernel = arrays(1, 9, 241, 496)
    memory = np.full(feature.nbytes + 192, 7, np.uint8)
    begin = -memory.ctypes.data % 64 + misalignment
    out = memory[begin : begin + feature.nbytes].view(np.float32).reshape(feature.shape)
    pointers = feature.ctypes.data, kernel.ctypes.data, out.ctypes.data
    filter_ = native._Filter(*pointers, *feature.shape, 3, 1, 0, int(Implementation.BEST))
    status, bands = count_bands(filter_)
    assert status == 0
    assert native.load_library().mgdn_dynamic_filter_run(filter_, 0, bands) == 0
    np.testing.assert_allclose(out, reference.dynamic_filter(feature, kernel, 3), atol=1e-5)
    assert (memory[:begin] == 7).all()
    assert (memory[begin + feature.nbytes :] == 7).all()


def test_a_missing_library_says_how_to_build_it(monkeypatch):
    monkeypatch.setattr(native, "find_library", lambda: None)
    with pytest.raises(NativeLibraryError, match=r"install a C\+\+ compiler.*pip install"):
        native.load_library()


def test_it_is_found_beside_the_package_only(tmp_path):
    assert native.find_library([str(tmp_path)]) is None
    (tmp_path / native.LIBRARY_NAME).touch()
    assert native.find_library([str(tmp_path)]) == tmp_path / native.LIBRARY_NAME


@pytest.mark.parametrize("content", [b"", b"not a library", b"\x7fELF" + bytes(100)])
def test_a_file_that_is_no_library_does_not_load(tmp_path, content):
    path = tmp_path / native.LIBRARY_NAME
    path.write_bytes(content)
    with pytest.raises(NativeLibraryError, match="does not load"):
        native.load_library(path)


@pytest.mark.native
def test_a_library_of_another_version_is_refused(monkeypatch):
    monkeypatch.setattr(native, "ABI_VERSION", native.ABI_VERSION + 1)
    native._load.cache_clear()
    with pytest.raises(NativeLibraryError, match="build it again"):
        native.load_library()


def test_the_versions_and_numbers_are_those_of_the_header(repository):
    header = (repository / "plugins" / "mgdn.h").read_text()
    assert f"#define MGDN_ABI_VERSION {native.ABI_VERSION}\n" in header
    for implementation in Implementation:
        assert f"MGDN_{implementation.name} = {int(implementation)}," in header
    assert f"MGDN_UNSUPPORTED_CPU = {native._UNSUPPORTED_CPU}," in header
