"""The TensorRT plugin between a builder that only asks and a launcher that only records."""

import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.tensorrt_headers

SOURCES = sorted(Path(__file__).parent.glob("*_cases.cpp"))
CASES = [name for path in SOURCES for name in re.findall(r"^CASE\((\w+)\)", path.read_text(), re.M)]

# file, what stands there, what it becomes, the case that has to notice
MUTATIONS = {
    "type_is_always_float": (
        "dynamic_filter_plugin.cpp",
        "output_types[0] = input_types[0];",
        "output_types[0] = DataType::kFLOAT;",
        "output_type_is_the_features",
    ),
    "shape_is_the_kernels": (
        "dynamic_filter_plugin.cpp",
        "output_shapes[0] = input_shapes[0];",
        "output_shapes[0] = input_shapes[1];",
        "output_shape_is_the_features_symbols",
    ),
    "any_format": (
        "dynamic_filter_plugin.cpp",
        "tensor.format == TensorFormat::kLINEAR && ",
        "",
        "formats_are_linear_and_types_equal",
    ),
    "mixed_types": (
        "dynamic_filter_plugin.cpp",
        "tensor.type == tensors[0].desc.type",
        "true",
        "formats_are_linear_and_types_equal",
    ),
    "height_and_width_swapped": (
        "dynamic_filter_plugin.cpp",
        "filter.height = feature.dims.d[2];",
        "filter.height = feature.dims.d[3];",
        "enqueue_hands_the_launcher_exactly_these",
    ),
    "default_stream": (
        "dynamic_filter_plugin.cpp",
        "mgdn_dynamic_filter_enqueue(&filter, stream)",
        "mgdn_dynamic_filter_enqueue(&filter, stream ? nullptr : stream)",
        "enqueue_hands_the_launcher_exactly_these",
    ),
    "failed_launch_passes": (
        "dynamic_filter_plugin.cpp",
        "if (status != MGDN_OK) {",
        "if (status < MGDN_OK) {",
        "a_launch_that_fails_is_an_error_with_its_status",
    ),
    "upscale_is_not_serialised": (
        "dynamic_filter_plugin.cpp",
        "{UPSCALE_FIELD, &attributes_.upscale,",
        "{UPSCALE_FIELD, &attributes_.kernel_size,",
        "every_pair_of_attributes_is_kept_through_serialisation",
    ),
    "width_is_not_checked": (
        "tensor_checks.cpp",
        "fits(kernel.d[3], attributes.upscale, feature.d[3])",
        "true",
        "wrong_shapes_are_refused",
    ),
    "any_number_of_values": (
        "dynamic_filter_creator.cpp",
        "field.length != 1 || ",
        "",
        "wrong_types_and_counts_are_refused",
    ),
    "one_namespace_for_all": (
        "dynamic_filter_creator.cpp",
        "DynamicFilterPlugin(attributes, namespace_)",
        'DynamicFilterPlugin(attributes, "mgdn")',
        "plugin_has_its_creators_names",
    ),
    "field_names_forgotten": (
        "dynamic_filter_creator.cpp",
        "collection_.nbFields = 2;",
        "collection_.nbFields = 1;",
        "fields_are_named_for_the_parser",
    ),
}


def run_case(program, name):
    return subprocess.run([program, name], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("case", CASES)
def test_case(harness_program, case):
    result = run_case(harness_program, case)
    assert result.returncode == 0, result.stderr


def test_every_case_is_in_the_program(harness_program):
    listed = subprocess.run([harness_program, "--list"], capture_output=True, text=True, check=True)
    assert sorted(listed.stdout.split()) == sorted(CASES)
    assert len(CASES) > 20


def test_a_refusal_without_a_logger_goes_to_stderr(harness_program):
    result = run_case(harness_program, "without_a_logger_the_sentence_goes_to_stderr")
    assert result.stderr == (
        "mgdn.DynamicFilter: field kernel_size is missing; 3, 5 or 7 is needed\n"
    )


@pytest.fixture(scope="module")
def mutable_harness(tensorrt_harness, tensorrt_root, repository, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mutated")
    return type(tensorrt_harness)(repository, tensorrt_root / "headers", folder)


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_wrong_plugin_is_noticed(mutable_harness, name):
    file, right, wrong, case = MUTATIONS[name]
    path = mutable_harness.plugin_sources / file
    source = path.read_text()
    assert source.count(right) == 1
    path.write_text(source.replace(right, wrong))
    try:
        program = mutable_harness.build("harness")
        result = run_case(program, case)
    finally:
        path.write_text(source)
    assert result.returncode == 1, result.stderr
    assert re.search(r"\.cpp:\d+: ", result.stderr)  # failed by a check, not by a crash


def test_the_library_needs_neither_tensorrt_nor_cuda(tensorrt_harness):
    library = tensorrt_harness.build("mgdn_tensorrt.so")
    read = subprocess.run(["readelf", "-dW", library], capture_output=True, text=True, check=True)
    needed = set(re.findall(r"NEEDED.*\[(.*?)\]", read.stdout))
    assert needed  # the pattern reads this readelf
    standard = ("libstdc++.", "libgcc_s.", "libc.", "libm.", "ld-linux")
    assert not [name for name in needed if not name.startswith(standard)]
