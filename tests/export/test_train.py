"""Training: it learns, it repeats, it leaves a whole file or none."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch
from rich.console import Console

from mgdn_edge.export.losses import LossWeights
from mgdn_edge.export.networks.edge import MGDNEdge
from mgdn_edge.export.train import Recipe, learning_rate, read_record, train
from mgdn_edge.runtime.errors import UserError

pytestmark = pytest.mark.export

SMALL = Recipe(batch=2, crop=32, warmup_steps=5)


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    root.mkdir()
    random = np.random.default_rng(0)
    lines = ["dataset,name,ir,vi,split\n"]
    for name in ("a", "b"):
        for stream in ("vi", "ir"):
            noise = random.integers(0, 256, (12, 12)).astype(np.uint8)
            cv2.imwrite(str(root / f"{name}_{stream}.png"), cv2.resize(noise, (64, 48)))
        lines.append(f"msrs,{name},{name}_ir.png,{name}_vi.png,train\n")
    (root / "manifest.csv").write_text("".join(lines))
    return root


def quiet() -> Console:
    return Console(file=io.StringIO())


def test_the_loss_falls_and_the_checkpoint_loads(data_root: Path, tmp_path: Path) -> None:
    output = tmp_path / "trained.safetensors"
    console = Console(file=io.StringIO())
    record = train(data_root, output, steps=200, seed=1, recipe=SMALL, console=console)
    assert [line.step for line in record.losses] == [100, 200]
    assert record.losses[1].total < record.losses[0].total
    assert "step 200  loss" in console.file.getvalue()  # type: ignore[attr-defined]
    network = MGDNEdge()
    network.load_state_dict(safetensors.torch.load_file(output))
    assert read_record(output) == record
    assert record.steps == 200
    assert sorted(record.digests) == ["a_ir.png", "a_vi.png", "b_ir.png", "b_vi.png"]
    assert record.recipe["weights"] == {"intensity": 1.0, "gradient": 2.0, "structure": 0.25}
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [output.name]


def test_a_seed_repeats_its_weights(data_root: Path, tmp_path: Path) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        path = tmp_path / "out.safetensors"
        train(data_root, path, steps=3, seed=seed, recipe=SMALL, console=quiet())
        return safetensors.torch.load_file(path)

    first, again, other = weights(5), weights(5), weights(6)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["stem.weight"], other["stem.weight"])


def test_minutes_end_a_run(data_root: Path, tmp_path: Path) -> None:
    record = train(
        data_root, tmp_path / "out.safetensors", minutes=0.01, recipe=SMALL, console=quiet()
    )
    assert record.steps >= 1
    assert 0.5 < record.cpu_seconds < 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either steps or minutes"),
        ({"steps": 1, "minutes": 1.0}, "either steps or minutes"),
        ({"steps": 0}, "above zero"),
        ({"minutes": float("nan")}, "above zero"),
        ({"steps": 1, "threads": 0}, "threads=0"),
    ],
)
def test_unusable_arguments_are_refused(
    data_root: Path, tmp_path: Path, arguments, message
) -> None:
    with pytest.raises(UserError, match=message):
        train(data_root, tmp_path / "out.safetensors", console=quiet(), **arguments)


@pytest.mark.parametrize("name", ["out.pth", "missing/out.safetensors"])
def test_an_unwritable_output_is_refused_before_the_work(
    data_root: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(UserError, match="out"):
        train(data_root, tmp_path / name, steps=1, console=quiet())


def test_a_diverged_run_leaves_no_file(data_root: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.safetensors"
    broken = Recipe(batch=2, crop=32, weights=LossWeights(intensity=float("inf")))
    with pytest.raises(UserError, match="not finite"):
        train(data_root, output, steps=5, recipe=broken, console=quiet())
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
        read_record(bare)
    bare.write_bytes(b"nonsense")
    with pytest.raises(UserError, match="not a readable"):
        read_record(bare)
