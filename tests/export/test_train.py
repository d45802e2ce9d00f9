"""Training: it learns, it repeats, it leaves a whole file or none, and a picture."""

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import safetensors.torch
import torch
from support.progress import Told

from mgdn_edge.export.losses import LossWeights
from mgdn_edge.export.networks.edge import MGDNEdge
from mgdn_edge.export.train import train
from mgdn_edge.export.training_data import DataOptions
from mgdn_edge.export.training_options import RunOptions
from mgdn_edge.export.training_provenance import describe_record
from mgdn_edge.export.training_recipes import RECIPES, Recipe, find_recipe, learning_rate
from mgdn_edge.export.training_record import TrainingRecord, read_training_record
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.machine.progress import SILENT, Progress

pytestmark = pytest.mark.export

SMALL = Recipe(name="small", steps=3, batch=2, crop=32, warmup_steps=5)


def run(data_root: Path, output: Path, progress: Progress = SILENT, **changed: object):
    """Train with the small recipe; ``options`` are a RunOptions, the rest recipe fields."""
    options = changed.pop("options", RunOptions())
    overwrite = changed.pop("overwrite", False)
    recipe = msgspec.structs.replace(SMALL, **changed)
    return train(
        DataOptions((str(data_root),)),
        output,
        recipe,
        options,
        progress=progress,
        overwrite=overwrite,
    )


def test_the_loss_falls_and_the_checkpoint_loads(data_root: Path, tmp_path: Path) -> None:
    output = tmp_path / "trained.safetensors"
    told = Told()
    record = run(data_root, output, told, steps=200, seed=1, validate_every=100)
    assert [line.step for line in record.losses] == [100, 200]
    assert record.losses[1].total < record.losses[0].total
    assert any(sentence.startswith("step 200  loss") for sentence in told.said)
    assert told.steps == [("training", 1.0)] and told.parts == pytest.approx(0.995)
    network = MGDNEdge()
    network.load_state_dict(safetensors.torch.load_file(output))
    assert read_training_record(output) == record
    assert record.steps == 200
    assert sorted(record.digests) == ["a_ir.png", "a_vi.png", "b_ir.png", "b_vi.png"]
    assert record.recipe["weights"] == {"intensity": 1.0, "gradient": 2.0, "structure": 0.25}
    assert [line.step for line in record.validation] == [100, 200]
    assert record.validation[1].frames == "validation"
    assert record.validation[1].total < record.validation[0].total
    assert sorted(record.validation_digests) == ["c_ir.png", "c_vi.png"]
    files = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert files == ["trained.png", "trained.safetensors"]


def test_the_picture_shows_visible_infrared_and_fused(data_root: Path, tmp_path: Path) -> None:
    run(data_root, tmp_path / "out.safetensors", learning_rate=1e-7, final_learning_rate=1e-7)
    picture = cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_GRAYSCALE)
    visible = cv2.imread(str(data_root / "c_vi.png"), cv2.IMREAD_GRAYSCALE)
    infrared = cv2.imread(str(data_root / "c_ir.png"), cv2.IMREAD_GRAYSCALE)
    assert picture.shape == (48, 3 * 64)
    np.testing.assert_array_equal(picture[:, :64], visible)
    np.testing.assert_array_equal(picture[:, 64:128], infrared)
    mean = (visible.astype(float) + infrared) / 2
    assert np.abs(picture[:, 128:] - mean).max() <= 1  # the start of every edge network


def test_without_validation_pairs_training_frames_are_shown_as_such(
    data_root: Path, tmp_path: Path
) -> None:
    manifest = data_root / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("val", "test"))
    record = run(data_root, tmp_path / "out.safetensors")
    assert [line.frames for line in record.validation] == ["training"]
    assert record.validation_digests == {}


def test_a_seed_repeats_its_weights(data_root: Path, tmp_path: Path) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        path = tmp_path / "out.safetensors"
        run(data_root, path, seed=seed, overwrite=True)
        return safetensors.torch.load_file(path)

    first, again, other = weights(5), weights(5), weights(6)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["stem.weight"], other["stem.weight"])


def test_minutes_end_a_run(data_root: Path, tmp_path: Path) -> None:
    record = run(data_root, tmp_path / "out.safetensors", options=RunOptions(minutes=0.01))
    assert record.steps >= 1
    assert record.minutes == 0.01
    assert 0.5 < record.cpu_seconds < 5


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"steps": 0}, "above zero"),
        ({"options": RunOptions(minutes=float("nan"))}, "above zero"),
        ({"options": RunOptions(threads=0)}, "threads=0"),
        ({"options": RunOptions(save_minutes=float("nan"))}, "save_minutes=nan"),
        ({"options": RunOptions(device="tpu")}, "cpu or cuda"),
        ({"options": RunOptions(resume=True, restart=True)}, "one of them"),
        ({"options": RunOptions(resume=True)}, r"no .*out\.state to resume"),
        ({"network": "mgdn"}, "known: mgdn-edge, mgdn-ir"),
        ({"crop": 65}, "at least 65 pixels"),
    ],
)
def test_unusable_arguments_are_refused(
    data_root: Path, tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run(data_root, tmp_path / "out.safetensors", **changed)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_gpu_is_refused_where_there_is_none(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="finds no CUDA device; use --device cpu"):
        run(data_root, tmp_path / "out.safetensors", options=RunOptions(device="cuda"))


@pytest.mark.parametrize("name", ["out.pth", "missing/out.safetensors"])
def test_an_unwritable_output_is_refused_before_the_work(
    data_root: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(UserError, match="out"):
        run(data_root, tmp_path / name)


def test_a_diverged_run_leaves_no_file(data_root: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.safetensors"
    with pytest.raises(UserError, match="not finite"):
        run(data_root, output, weights=LossWeights(intensity=float("inf")))
    assert not output.exists()


def test_the_learning_rate_warms_up_and_falls_as_a_cosine() -> None:
    recipe = Recipe(learning_rate=1.0, final_learning_rate=0.1, warmup_steps=10)
    assert learning_rate(recipe, 0.0, 0) == pytest.approx(0.1)
    assert learning_rate(recipe, 0.0, 10) == pytest.approx(1.0)
    assert learning_rate(recipe, 0.5, 10) == pytest.approx(0.55)
    assert learning_rate(recipe, 1.0, 10) == pytest.approx(0.1)


def test_a_checkpoint_without_a_record_is_named(tmp_path: Path) -> None:
    bare = tmp_path / "bare.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(1)}, bare)
    with pytest.raises(UserError, match="no training record"):
        read_training_record(bare)
    bare.write_bytes(b"nonsense")
    with pytest.raises(UserError, match="not a readable"):
        read_training_record(bare)


def test_a_recipe_takes_other_steps_and_another_seed() -> None:
    assert find_recipe("mgdn-edge") == RECIPES["mgdn-edge"]
    changed = find_recipe("mgdn-ir", steps=7, seed=3)
    assert (changed.steps, changed.seed, changed.network) == (7, 3, "mgdn-ir")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "mgdn"}, "known: mgdn-edge, mgdn-ir"),
        ({"name": "mgdn-ir", "steps": 0}, "steps=0"),
        ({"name": "mgdn-ir", "seed": -1}, "seed=-1"),
    ],
)
def test_an_unknown_recipe_length_or_seed_is_named(arguments, message: str) -> None:
    with pytest.raises(UserError, match=message):
        find_recipe(**arguments)


def test_other_data_than_the_recipes_are_noted(data_root: Path, tmp_path: Path) -> None:
    record = run(data_root, tmp_path / "out.safetensors", data="0" * 64)
    assert record.notes == ["the data are not those of recipe small, so its weights will differ"]
    assert run(data_root, tmp_path / "again.safetensors").notes == []


def test_a_record_gives_the_command_that_made_it(data_root: Path, tmp_path: Path) -> None:
    record = run(data_root, tmp_path / "out.safetensors", options=RunOptions(threads=2))
    provenance = describe_record(record)
    assert provenance.command == "mgdn train --recipe small --steps 3 --seed 0 --threads 2"
    assert [(source.name, source.licence[:4]) for source in provenance.data] == [("msrs", "MSRS")]


def test_records_from_before_recipes_had_names_stay_readable(
    data_root: Path, tmp_path: Path
) -> None:
    record = msgspec.to_builtins(run(data_root, tmp_path / "out.safetensors"))
    for name in ("device", "threads", "resumed", "minutes", "validation", "validation_digests"):
        del record[name]
    del record["notes"], record["recipe"]["name"]
    old = msgspec.convert(record, TrainingRecord)
    assert describe_record(old).command == "mgdn train --steps 3 --seed 0"
