"""Folders for pages."""

import cv2
import numpy as np
import pytest


@pytest.fixture
def folder_pair(tmp_path):
    """vi/ with colour and ir/ with grey PNG, every size different, one a single pixel."""
    generator = np.random.default_rng(5)
    for name, channels in (("vi", 3), ("ir", 1)):
        (tmp_path / name).mkdir()
        for stem, (height, width) in (("1", (21, 33)), ("2", (1, 1)), ("10", (17, 40))):
            image = generator.integers(0, 256, (height, width, channels), np.uint8)
            cv2.imwrite(str(tmp_path / name / f"{stem}.png"), image)
    return tmp_path / "vi", tmp_path / "ir"
