"""Training pairs: the split is respected, crops are seeded and aligned, bad files are named."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mgdn_edge.export.training_data import (
    Jitter,
    TrainingPair,
    draw_batches,
    read_training_set,
)
from mgdn_edge.runtime.errors import UserError

pytestmark = pytest.mark.export

HEADER = "dataset,name,ir,vi,split\n"
NO_JITTER = Jitter(share=0)


def write_pair(root: Path, name: str, height: int = 24, width: int = 32) -> None:
    random = np.random.default_rng(len(name))
    cv2.imwrite(str(root / f"{name}_vi.png"), random.integers(0, 255, (height, width, 3), np.uint8))
    cv2.imwrite(str(root / f"{name}_ir.png"), random.integers(0, 255, (height, width), np.uint8))


def write_manifest(root: Path, *rows: tuple[str, str, str]) -> None:
    lines = [
        f"{dataset},{name},{name}_ir.png,{name}_vi.png,{split}\n" for dataset, name, split in rows
    ]
    (root / "manifest.csv").write_text(HEADER + "".join(lines))


def ramp_pair(height: int, width: int) -> TrainingPair:
    """Infrared is the visible plane's negative, so a misaligned crop shows."""
    visible = np.random.default_rng(7).integers(0, 256, (height, width)).astype(np.uint8)
    return TrainingPair("ramp", visible, 255 - visible)


def test_only_the_train_split_is_read(tmp_path: Path) -> None:
    for name in ("a", "bb", "ccc"):
        write_pair(tmp_path, name)
    write_manifest(
        tmp_path, ("msrs", "a", "train"), ("msrs", "bb", "val"), ("llvip", "ccc", "test")
    )
    data = read_training_set(tmp_path)
    assert [pair.name for pair in data.pairs] == ["msrs/a#0"]
    assert data.pairs[0].visible.shape == (24, 32)
    assert sorted(data.digests) == ["a_ir.png", "a_vi.png"]
    assert list(data.licences) == ["msrs"]


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda root: None, "no manifest.csv"),
        (lambda root: write_manifest(root, ("msrs", "a", "test")), "no pair with split=train"),
        (lambda root: write_manifest(root, ("msrs", "gone", "train")), "not on disk"),
        (lambda root: write_manifest(root, ("llvip", "a", "train")), "no licence is recorded"),
    ],
)
def test_unusable_data_is_named(tmp_path: Path, prepare, message: str) -> None:
    write_pair(tmp_path, "a")
    prepare(tmp_path)
    with pytest.raises(UserError, match=message):
        read_training_set(tmp_path)


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    write_pair(tmp_path, "a")
    (tmp_path / "a_vi.png").write_bytes(b"\x89PNG")
    write_manifest(tmp_path, ("msrs", "a", "train"))
    with pytest.raises(UserError, match=r"a_vi\.png"):
        read_training_set(tmp_path)


def test_pairs_of_two_sizes_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, "a")
    cv2.imwrite(str(tmp_path / "a_ir.png"), np.zeros((24, 31), np.uint8))
    write_manifest(tmp_path, ("msrs", "a", "train"))
    with pytest.raises(UserError, match="one size"):
        read_training_set(tmp_path)


def test_crops_of_both_planes_come_from_the_same_place() -> None:
    stream = draw_batches([ramp_pair(40, 61)], batch=8, crop=16, jitter=NO_JITTER, seed=1)
    for _ in range(4):
        batch = next(stream)
        assert batch.visible.shape == (8, 1, 16, 16)
        torch.testing.assert_close(batch.visible + batch.infrared, torch.ones(8, 1, 16, 16))
        assert torch.equal(batch.visible, batch.clean_visible)


def test_a_seed_repeats_its_batches_and_another_does_not() -> None:
    pairs = [ramp_pair(40, 61)]

    def first(seed: int) -> torch.Tensor:
        return next(draw_batches(pairs, batch=2, crop=16, jitter=Jitter(), seed=seed)).visible

    assert torch.equal(first(3), first(3))
    assert not torch.equal(first(3), first(4))


def test_jitter_stays_in_range_and_spares_the_clean_planes_its_noise() -> None:
    wild = Jitter(share=1, log_gain=1, log_gamma=1, offset=0.3, noise=0.2)
    batch = next(draw_batches([ramp_pair(64, 64)], batch=4, crop=32, jitter=wild, seed=0))
    for plane in (batch.visible, batch.infrared, batch.clean_visible, batch.clean_infrared):
        assert 0 <= float(plane.min()) <= float(plane.max()) <= 1
    assert not torch.equal(batch.visible, batch.clean_visible)


def test_pairs_smaller_than_a_crop_are_left_out() -> None:
    stream = draw_batches(
        [ramp_pair(8, 100), ramp_pair(16, 16)], batch=1, crop=16, jitter=NO_JITTER, seed=0
    )
    assert next(stream).visible.shape == (1, 1, 16, 16)
    with pytest.raises(UserError, match="at least 17 pixels"):
        next(draw_batches([ramp_pair(16, 16)], batch=1, crop=17, jitter=NO_JITTER, seed=0))
