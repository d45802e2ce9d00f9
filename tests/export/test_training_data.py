"""Training pairs: the split is respected, crops are seeded and aligned, bad files are named."""

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mgdn_edge.export.training_crops import Batch, Jitter, draw_batches
from mgdn_edge.export.training_data import (
    DataOptions,
    TrainingData,
    digest_list,
    read_training_data,
)
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.recordings import FramePair

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


def read(*data: Path | str, **options: object) -> TrainingData:
    return read_training_data(DataOptions(tuple(map(str, data)), **options))


def batches(pairs: list[FramePair], seed: int = 0, **arguments: object) -> Iterator[Batch]:
    return draw_batches(pairs, random=np.random.default_rng(seed), **arguments)


def ramp_pair(height: int, width: int) -> FramePair:
    """Infrared is the visible plane's negative, so a misaligned crop shows."""
    visible = np.random.default_rng(7).integers(0, 256, (height, width)).astype(np.uint8)
    return FramePair("ramp", visible, 255 - visible)


def test_the_splits_of_a_manifest_are_kept_apart(tmp_path: Path) -> None:
    for name in ("a", "bb", "ccc"):
        write_pair(tmp_path, name)
    write_manifest(
        tmp_path, ("msrs", "a", "train"), ("msrs", "bb", "val"), ("llvip", "ccc", "test")
    )
    read_data = read(tmp_path)
    data = read_data.training
    assert [pair.name for pair in data.pairs] == ["msrs/a#0"]
    assert data.pairs[0].visible.shape == (24, 32)
    assert sorted(data.digests) == ["a_ir.png", "a_vi.png"]
    assert list(data.licences) == ["msrs"]
    assert sorted(read_data.validation.digests) == ["bb_ir.png", "bb_vi.png"]
    assert [pair.name for pair in read_data.validation.pairs] == ["msrs/bb#0"]


def test_rows_that_are_named_are_read_whatever_their_split(tmp_path: Path) -> None:
    for name in ("a", "bb", "ccc"):
        write_pair(tmp_path, name)
    write_manifest(
        tmp_path, ("msrs", "a", "train"), ("msrs", "bb", "val"), ("roadscene", "ccc", "val")
    )
    data = read(f"{tmp_path}#roadscene", validation=(f"{tmp_path}#msrs:val",))
    assert [pair.name for pair in data.training.pairs] == ["roadscene/ccc#0"]
    assert [pair.name for pair in data.validation.pairs] == ["msrs/bb#0"]
    assert sorted(data.training.digests) == ["ccc_ir.png", "ccc_vi.png"]
    assert read(f"{tmp_path}#:train").validation.pairs == []  # only the folder alone adds val


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda root: None, "holds no vi; one folder or file named vi"),
        (lambda root: write_manifest(root, ("msrs", "a", "test")), "no pair with split=train"),
        (lambda root: write_manifest(root, ("msrs", "gone", "train")), "not on disk"),
        (lambda root: write_manifest(root, ("llvip", "a", "train")), "no licence is recorded"),
    ],
)
def test_unusable_data_is_named(tmp_path: Path, prepare, message: str) -> None:
    write_pair(tmp_path, "a")
    prepare(tmp_path)
    with pytest.raises(UserError, match=message):
        read(tmp_path)


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    write_pair(tmp_path, "a")
    (tmp_path / "a_vi.png").write_bytes(b"\x89PNG")
    write_manifest(tmp_path, ("msrs", "a", "train"))
    with pytest.raises(UserError, match=r"a_vi\.png"):
        read(tmp_path)


def test_pairs_of_two_sizes_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, "a")
    cv2.imwrite(str(tmp_path / "a_ir.png"), np.zeros((24, 31), np.uint8))
    write_manifest(tmp_path, ("msrs", "a", "train"))
    with pytest.raises(UserError, match="one size"):
        read(tmp_path)


def test_crops_of_both_planes_come_from_the_same_place() -> None:
    stream = batches([ramp_pair(40, 61)], batch=8, crop=16, jitter=NO_JITTER, seed=1)
    for _ in range(4):
        batch = next(stream)
        assert batch.visible.shape == (8, 1, 16, 16)
        torch.testing.assert_close(batch.visible + batch.infrared, torch.ones(8, 1, 16, 16))
        assert torch.equal(batch.visible, batch.clean_visible)


def test_a_seed_repeats_its_batches_and_another_does_not() -> None:
    pairs = [ramp_pair(40, 61)]

    def first(seed: int) -> torch.Tensor:
        return next(batches(pairs, batch=2, crop=16, jitter=Jitter(), seed=seed)).visible

    assert torch.equal(first(3), first(3))
    assert not torch.equal(first(3), first(4))


def test_jitter_stays_in_range_and_spares_the_clean_planes_its_noise() -> None:
    wild = Jitter(share=1, log_gain=1, log_gamma=1, offset=0.3, noise=0.2)
    batch = next(batches([ramp_pair(64, 64)], batch=4, crop=32, jitter=wild, seed=0))
    for plane in (batch.visible, batch.infrared, batch.clean_visible, batch.clean_infrared):
        assert 0 <= float(plane.min()) <= float(plane.max()) <= 1
    assert not torch.equal(batch.visible, batch.clean_visible)


def test_pairs_smaller_than_a_crop_are_left_out() -> None:
    stream = batches(
        [ramp_pair(8, 100), ramp_pair(16, 16)], batch=1, crop=16, jitter=NO_JITTER, seed=0
    )
    assert next(stream).visible.shape == (1, 1, 16, 16)
    with pytest.raises(UserError, match="at least 17 pixels"):
        next(batches([ramp_pair(16, 16)], batch=1, crop=17, jitter=NO_JITTER, seed=0))


def test_batches_continue_from_the_generators_state() -> None:
    random = np.random.default_rng(5)
    arguments = {"batch": 2, "crop": 16, "jitter": Jitter(share=1)}
    stream = draw_batches([ramp_pair(40, 61)], random=random, **arguments)
    next(stream)
    other = np.random.default_rng()
    other.bit_generator.state = random.bit_generator.state
    continued = draw_batches([ramp_pair(40, 61)], random=other, **arguments)
    assert torch.equal(next(stream).visible, next(continued).visible)


def test_the_draws_are_those_the_shipped_weights_were_trained_on() -> None:
    """Places, flips and jitter in their order: a recipe's weights depend on every draw."""
    pairs = [ramp_pair(40, 61), ramp_pair(33, 47)]
    plain = batches(pairs, batch=4, crop=16, jitter=NO_JITTER)
    seen = hashlib.sha256()
    for batch in itertools.islice(plain, 3):
        seen.update(np.round(batch.visible.numpy() * 255).astype(np.uint8).tobytes())
    assert seen.hexdigest() == "ea1b598c87a414a8261a85395dd8a02500781fef85a809a45c9ec32b590c7041"
    third = next(itertools.islice(batches(pairs, batch=4, crop=16, jitter=Jitter()), 2, None))
    planes = (third.visible, third.infrared, third.clean_visible, third.clean_infrared)
    means = [float(plane.mean()) for plane in planes]
    assert means == pytest.approx([0.492471, 0.517254, 0.492531, 0.517298], abs=2e-6)


def folder_of_pairs(root: Path, visible: str, infrared: str, stems: str) -> Path:
    for stem in stems:
        write_pair(root, stem)
        for stream, short in ((visible, "vi"), (infrared, "ir")):
            (root / stream).mkdir(exist_ok=True)
            (root / f"{stem}_{short}.png").rename(root / stream / f"{stem}.png")
    return root


def test_folders_of_images_are_paired_by_stem(tmp_path: Path) -> None:
    root = tmp_path / "day"
    root.mkdir()
    folder_of_pairs(root, "visible", "infrared", "abc")
    data = read(root, licence="ours")
    assert [pair.name for pair in data.training.pairs] == ["day#0", "day#1", "day#2"]
    assert data.training.licences == {"day": "ours"}
    assert sorted(data.training.digests)[:2] == ["day/ir/a.png", "day/ir/b.png"]
    assert len(data.training.digests) == 6
    assert data.notes == ()


def test_data_without_stated_terms_are_noted(tmp_path: Path) -> None:
    data = read(folder_of_pairs(tmp_path, "vi", "ir", "a"))
    assert list(data.training.licences.values()) == ["not stated"]
    assert "not stated; state it with --licence" in data.notes[0]


def test_a_licence_admits_a_manifests_set_that_none_is_known_for(tmp_path: Path) -> None:
    write_pair(tmp_path, "a")
    write_manifest(tmp_path, ("mine", "a", "train"))
    assert read(tmp_path, licence="ours").training.licences == {"mine": "ours"}


def test_two_folders_of_one_name_stay_apart(tmp_path: Path) -> None:
    for parent in ("x", "y"):
        (tmp_path / parent / "day").mkdir(parents=True)
        folder_of_pairs(tmp_path / parent / "day", "vi", "ir", "ab")
    data = read(tmp_path / "x" / "day", tmp_path / "y" / "day")
    assert list(data.training.licences) == ["day", "day-2"]
    assert len(data.training.digests) == 8


def test_frames_of_a_folder_are_spread_evenly(tmp_path: Path) -> None:
    data = read(folder_of_pairs(tmp_path, "vi", "ir", "abcde"), frames=3)
    assert sorted({Path(name).stem for name in data.training.digests}) == ["a", "c", "e"]
    assert len(data.training.pairs) == 3


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder with vi.mkv and ir.mkv: 30 lossless frames whose level is their number."""
    import av

    folder = tmp_path / "clips"
    folder.mkdir()
    for stream in ("vi", "ir"):
        with av.open(str(folder / f"{stream}.mkv"), "w") as container:
            video = container.add_stream("ffv1", rate=25)
            video.width, video.height, video.pix_fmt = 64, 48, "gray"
            for index in range(30):
                plane = np.full((48, 64), 100 + index, np.uint8)
                frame = av.VideoFrame.from_ndarray(plane, format="gray")
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
    return folder


@pytest.mark.parametrize("joined", [False, True])
def test_clips_give_frames_spread_evenly(clips: Path, joined: bool) -> None:
    data = read(f"{clips / 'vi.mkv'},{clips / 'ir.mkv'}" if joined else clips)
    assert len(data.training.pairs) == 24
    levels = [int(pair.visible[0, 0]) for pair in data.training.pairs]
    assert (levels[0], levels[-1]) == (100, 129)
    assert list(data.training.digests) == ["clips/vi/vi.mkv", "clips/ir/ir.mkv"]
    assert len(read(clips, frames=2).training.pairs) == 2


def test_validation_data_are_read_apart(tmp_path: Path, clips: Path) -> None:
    folder_of_pairs(tmp_path, "vi", "ir", "ab")
    data = read(tmp_path, validation=(str(clips),), frames=4)
    assert (len(data.training.pairs), len(data.validation.pairs)) == (2, 4)


def test_validation_on_training_files_is_refused(tmp_path: Path) -> None:
    folder_of_pairs(tmp_path, "vi", "ir", "ab")
    with pytest.raises(UserError, match=r"validation file .*vi/a\.png is training file"):
        read(tmp_path, validation=(str(tmp_path),))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nowhere", "does not exist; give a folder"),
        ("synthetic://night,synthetic://night", "training reads files"),
        ("a,b", "a .of a,b. does not exist"),
        ("a,b,c", "does not exist; give a folder"),
        (__file__, "is a file; give a folder"),
    ],
)
def test_what_names_no_recording_is_refused(data: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(data)


def test_folders_that_cannot_be_paired_are_refused(tmp_path: Path) -> None:
    folder_of_pairs(tmp_path, "vi", "ir", "ab")
    (tmp_path / "vi" / "b.png").rename(tmp_path / "vi" / "z.png")
    with pytest.raises(UserError, match="complete the folders; or pass --shortest"):
        read(tmp_path)
    assert len(read(tmp_path, shortest=True).training.pairs) == 1


def test_a_list_of_digests_depends_on_names_contents_and_order() -> None:
    lists = [{"a": "1", "b": "2"}, {"b": "2", "a": "1"}, {"a": "2", "b": "1"}, {"a": "1"}]
    assert len({digest_list(one) for one in lists}) == len(lists)
