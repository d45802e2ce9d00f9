"""An interrupted run goes on to the same bits, or says in one sentence why it cannot."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
import safetensors
import safetensors.torch
import torch

from mgdn_edge.export.train import TrainingStoppedError, train
from mgdn_edge.export.training_data import DataOptions
from mgdn_edge.export.training_options import RunOptions
from mgdn_edge.export.training_recipes import Recipe
from mgdn_edge.export.training_record import TrainingRecord, read_training_record
from mgdn_edge.export.training_state import STATE_KEY
from mgdn_edge.runtime.errors import UserError

pytestmark = pytest.mark.export

# A loss line every 100 steps and a validation every 40: both lie before and after the stops.
SMALL = Recipe(name="small", steps=110, batch=2, crop=16, warmup_steps=5, validate_every=40)
RESUME = RunOptions(resume=True)


class StopAfter(threading.Event):
    """Set from the moment it has been asked ``steps`` times: once a step."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


def run(
    data_root: Path,
    output: Path,
    options: RunOptions = RunOptions(),  # noqa: B008 - frozen
    stop: int | None = None,
    data: DataOptions | None = None,
    **changed: object,
) -> TrainingRecord:
    return train(
        data or DataOptions((str(data_root),)),
        output,
        msgspec.structs.replace(SMALL, **changed),
        options,
        stop=None if stop is None else StopAfter(stop),
    )


@pytest.fixture
def stopped(data_root: Path, tmp_path: Path) -> Path:
    """The output of a run stopped after seven steps."""
    output = tmp_path / "stopped.safetensors"
    with pytest.raises(TrainingStoppedError, match="after 7 steps"):
        run(data_root, output, stop=7)
    return output


def assert_same_result(first: Path, second: Path) -> None:
    ours, theirs = (safetensors.torch.load_file(path) for path in (first, second))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    records = [msgspec.to_builtins(read_training_record(path)) for path in (first, second)]
    for record in records:
        del record["cpu_seconds"], record["resumed"]
    assert records[0] == records[1]
    pictures = [path.with_suffix(".png").read_bytes() for path in (first, second)]
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize("network", ["mgdn-edge", "mgdn-ir"])
@pytest.mark.parametrize("stops", [(0,), (1,), (41, 60)])
def test_a_resumed_run_ends_with_the_same_bits(
    data_root: Path, tmp_path: Path, network: str, stops: tuple[int, ...]
) -> None:
    changed: dict[str, object] = {"network": network}
    if network == "mgdn-ir":  # a hundred times the arithmetic
        changed |= {"steps": 4, "batch": 1, "validate_every": 3}
        stops = tuple(stop % 4 for stop in stops)
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    run(data_root, whole, **changed)
    for number, stop in enumerate(stops):
        with pytest.raises(TrainingStoppedError):
            run(data_root, parts, RunOptions(resume=number > 0), stop, **changed)
        assert not parts.exists()
    record = run(data_root, parts, RESUME, **changed)
    assert record.resumed == len(stops)
    assert_same_result(whole, parts)
    assert not parts.with_suffix(".state").exists()


def test_the_generators_state_matters(stopped: Path, data_root: Path, tmp_path: Path) -> None:
    """The negative control: a state whose random numbers start anew gives other weights."""
    whole = tmp_path / "whole.safetensors"
    run(data_root, whole)
    state = stopped.with_suffix(".state")
    tensors, facts = read_state(state)
    generator = json.loads(facts["random"])
    generator["state"]["state"] += 2
    write_state(state, tensors, facts | {"random": json.dumps(generator)})
    run(data_root, stopped, RESUME)
    ours, theirs = (safetensors.torch.load_file(path) for path in (whole, stopped))
    assert not torch.equal(ours["stem.weight"], theirs["stem.weight"])


def read_state(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    with safetensors.safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()[STATE_KEY])
    return safetensors.torch.load_file(path), facts


def write_state(path: Path, tensors: dict[str, torch.Tensor], facts: dict[str, object]) -> None:
    path.write_bytes(safetensors.torch.save(tensors, {STATE_KEY: json.dumps(facts)}))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 1}, "begun with seed 0, this run has 1"),
        ({"name": "other"}, "begun with recipe small, this run has other"),
        ({"steps": 111}, "begun with steps 110, this run has 111"),
        ({"learning_rate": 1e-3}, "begun with learning_rate 0.002"),
        ({"network": "mgdn-ir"}, "begun with network mgdn-edge"),
        ({"options": RunOptions(resume=True, threads=2)}, "begun with threads 1"),
        ({"options": RunOptions(resume=True, minutes=1)}, "begun with minutes None"),
    ],
)
def test_another_run_is_not_continued(
    stopped: Path, data_root: Path, changed: dict[str, object], message: str
) -> None:
    before = stopped.with_suffix(".state").read_bytes()
    with pytest.raises(UserError, match=f"{message}.*--restart"):
        run(data_root, stopped, **{"options": RESUME, **changed})
    assert stopped.with_suffix(".state").read_bytes() == before
    assert not stopped.exists()


def test_other_data_are_not_continued_on(stopped: Path, data_root: Path) -> None:
    manifest = data_root / "manifest.csv"
    lines = manifest.read_text()
    first, *rows = lines.splitlines()
    manifest.write_text("\n".join([first, rows[1], rows[0], rows[2]]))
    with pytest.raises(UserError, match="data in another order"):
        run(data_root, stopped, RESUME)
    manifest.write_text(lines)
    (data_root / "b_vi.png").write_bytes((data_root / "a_vi.png").read_bytes())
    with pytest.raises(UserError, match=r"other data \(b_vi\.png differs\)"):
        run(data_root, stopped, RESUME)


def test_an_unfinished_run_is_thrown_away_only_when_told_so(
    stopped: Path, data_root: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="holds an unfinished run; add --resume"):
        run(data_root, stopped)
    record = run(data_root, stopped, RunOptions(restart=True))
    assert record.resumed == 0
    run(data_root, tmp_path / "whole.safetensors")
    assert_same_result(tmp_path / "whole.safetensors", stopped)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_state_is_refused(stopped: Path, data_root: Path, share: float) -> None:
    state = stopped.with_suffix(".state")
    content = state.read_bytes()
    state.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"not a whole training state.*--restart"):
        run(data_root, stopped, RESUME)
    assert run(data_root, stopped, RunOptions(restart=True)).steps == 110


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda tensors, facts: tensors.pop("random.torch"), "is damaged"),
        (lambda tensors, facts: tensors.pop("average.stem.bias"), "is damaged"),
        (lambda tensors, facts: tensors.pop("network.stem.bias"), "is damaged"),
        (lambda tensors, facts: facts.update(random="{}"), "is damaged"),
        (lambda tensors, facts: facts.update(random="not json"), "is damaged"),
        (lambda tensors, facts: facts.update(step="seven"), "not a whole training state"),
        (lambda tensors, facts: facts.pop("losses"), "not a whole training state"),
        (lambda tensors, facts: facts.update(schema=2), "has schema 2"),
    ],
)
def test_a_state_that_lacks_something_is_refused(
    stopped: Path, data_root: Path, damage, message: str
) -> None:
    state = stopped.with_suffix(".state")
    tensors, facts = read_state(state)
    damage(tensors, facts)
    write_state(state, tensors, facts)
    with pytest.raises(UserError, match=message):
        run(data_root, stopped, RESUME)


def test_a_checkpoint_is_not_a_state(stopped: Path, data_root: Path, tmp_path: Path) -> None:
    run(data_root, tmp_path / "whole.safetensors")
    (tmp_path / "whole.safetensors").rename(stopped.with_suffix(".state"))
    with pytest.raises(UserError, match="is not a training state"):
        run(data_root, stopped, RESUME)


def test_other_versions_are_noted(stopped: Path, data_root: Path) -> None:
    state = stopped.with_suffix(".state")
    tensors, facts = read_state(state)
    facts["description"]["versions"]["torch"] = "1.0"
    write_state(state, tensors, facts)
    (note,) = run(data_root, stopped, RESUME).notes
    assert "begun with 1.0: bits may differ" in note


def command(data_root: Path, output: Path, *options: str) -> list[str]:
    code = "import sys; from mgdn_edge.cli import main; sys.argv[0] = 'mgdn'; main()"
    arguments = ["train", str(data_root), str(output), "--steps", "12", *options]
    return [sys.executable, "-c", code, *arguments]


@pytest.mark.slow
def test_a_command_ended_by_a_signal_goes_on_to_the_same_bits(
    data_root: Path, tmp_path: Path
) -> None:
    for path in data_root.glob("*.png"):  # the recipe's crops are of 160 pixels
        enlarge(path)
    whole = tmp_path / "whole.safetensors"
    subprocess.run(command(data_root, whole), check=True, capture_output=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        parts = tmp_path / f"{number.name}.safetensors"
        # A state every step, so that one is there when the process is killed outright.
        process = subprocess.Popen(
            command(data_root, parts, "--save-minutes", "0"), stderr=subprocess.PIPE, text=True
        )
        while not parts.with_suffix(".state").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        _, errors = process.communicate()
        if number == signal.SIGKILL:
            assert process.returncode == -number
        else:
            assert process.returncode == 130
            assert "the same command with --resume continues" in errors
        assert not parts.exists()
        again = subprocess.run(
            command(data_root, parts, "--resume", "--json"), check=True, capture_output=True
        )
        assert json.loads(again.stdout)["resumed"] == 1
        assert_same_result(whole, parts)
        assert not parts.with_suffix(".state").exists()


def enlarge(path: Path) -> None:
    import cv2

    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(path), cv2.resize(image, (192, 176)))
