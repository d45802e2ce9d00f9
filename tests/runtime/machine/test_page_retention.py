import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
from mgdn_edge.runtime.fusion.backends.baselines import BaselineSession
from mgdn_edge.runtime.machine.page_retention import retain_pages

if {retain}:
    assert retain_pages()
plane = np.random.default_rng(0).integers(0, 256, (480, 640), np.uint8)
with BaselineSession("guided") as session:
    session.fuse(plane, plane)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        session.fuse(plane, plane)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(retain):
    words = [sys.executable, "-c", PROGRAM.format(retain=retain)]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_temporary_planes_stop_faulting():
    assert page_faults(True) < 0.1 * page_faults(False)
