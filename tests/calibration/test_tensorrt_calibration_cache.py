import struct
from types import SimpleNamespace

import numpy as np
import pytest

from mgdn_edge.calibration.clip_points import ClipMethod, ClipPoints
from mgdn_edge.calibration.qdq import clip_tensors
from mgdn_edge.calibration.tensorrt_calibration_cache import (
    encode_calibration_cache,
    make_calibrator,
    parse_version,
)
from mgdn_edge.runtime.errors import UserError

# 1/127 is 0x3c010204, 2.5/127 is 0x3ca14285: the largest magnitude decides, whatever its sign.
CLIPS = {"input": ClipPoints(0, 1.0), "core/Add": ClipPoints(-2.5, 1.0)}
WANTED = b"TRT-100300-EntropyCalibration2\ncore/Add: 3ca14285\ninput: 3c010204\n"


def test_the_cache_is_the_documented_text():
    assert encode_calibration_cache(CLIPS) == WANTED
    other = encode_calibration_cache(CLIPS, (10, 13, 2))
    assert other.startswith(b"TRT-101302-EntropyCalibration2\n")


def test_scales_read_back_are_those_of_the_pairs(edge_ranges):
    clips = clip_tensors(edge_ranges, ClipMethod(), "tensorrt")
    header, *lines = encode_calibration_cache(clips).decode().splitlines()
    assert header == "TRT-100300-EntropyCalibration2"
    read = {}
    for line in lines:
        name, _, digits = line.rpartition(": ")
        (read[name],) = struct.unpack(">f", bytes.fromhex(digits))
    assert read.keys() == clips.keys() and "Split:1" in read
    for name, points in clips.items():
        largest = max(-points.low, points.high)
        assert read[name] == pytest.approx(np.float32(largest / 127), rel=1e-6)


@pytest.mark.parametrize("version", [(11, 0, 0), (11, 4, 1), (8, 6, 1)])
def test_versions_without_calibrators_are_refused_and_told_what_to_build(version):
    with pytest.raises(UserError, match=r"calibrators exist in 10\.x only.*build the int8 variant"):
        encode_calibration_cache(CLIPS, version)


@pytest.mark.parametrize("text, wanted", [("10.3", (10, 3, 0)), ("10.3.0.30", (10, 3, 0))])
def test_versions_are_read(text, wanted):
    assert parse_version(text) == wanted


@pytest.mark.parametrize("text", ["", "10", "ten.3", "10.3.0.1.2", "10.-3"])
def test_wrong_versions_are_refused(text):
    with pytest.raises(UserError, match=r"MAJOR\.MINOR\.PATCH"):
        parse_version(text)


class Base:
    """As the binding's: it must be initialised, and abstract methods are called by name."""

    def __init__(self):
        self.initialised = True


def test_the_calibrator_hands_out_the_cache_and_never_a_batch():
    tensorrt = SimpleNamespace(__version__="10.3.0", IInt8EntropyCalibrator2=Base)
    calibrator = make_calibrator(tensorrt, WANTED)
    assert isinstance(calibrator, Base) and calibrator.initialised
    assert calibrator.read_calibration_cache() == WANTED
    assert calibrator.get_batch_size() == 1 and calibrator.get_batch(["visible"]) is None
    calibrator.write_calibration_cache(b"other")
    assert calibrator.read_calibration_cache() == WANTED
    with pytest.raises(UserError, match=r"TensorRT 11\.0\.0"):
        make_calibrator(SimpleNamespace(__version__="11.0.0"), WANTED)
