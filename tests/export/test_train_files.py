"""What a training writes and removes: its own, and others' only when told so."""

import pytest
import safetensors.torch
from support.progress import Told

from mgdn_edge.cli import build_app
from mgdn_edge.export import train
from mgdn_edge.export.network_catalogue import EDGE_WEIGHTS
from mgdn_edge.export.rounded_layers import FineTuning
from mgdn_edge.export.train import TrainingStoppedError
from mgdn_edge.export.training_data import DataOptions
from mgdn_edge.export.training_options import RunOptions
from mgdn_edge.export.training_recipes import Recipe
from mgdn_edge.export.training_record import read_training_record
from mgdn_edge.runtime.errors import EndedEarlyError, UserError
from mgdn_edge.runtime.machine.progress import SILENT

pytestmark = pytest.mark.export

SMALL = Recipe(name="small", steps=4, batch=2, crop=16, warmup_steps=5, validate_every=2)
ALWAYS = RunOptions(save_minutes=0)  # a state after every step
RESUME, RESTART = RunOptions(resume=True), RunOptions(restart=True)


class StopAfter:
    """An event set once it has been asked ``steps`` times; the first time ``meanwhile`` is done."""

    def __init__(self, steps, meanwhile=lambda: None):
        self.left, self.meanwhile = steps, meanwhile

    def is_set(self):
        self.left -= 1
        self.meanwhile()
        self.meanwhile = lambda: None
        return self.left < 0


def run(data_root, output, options=RunOptions(), *, progress=SILENT, **words):  # noqa: B008 - frozen
    data = DataOptions((str(data_root),))
    return train.train(data, output, SMALL, options, progress=progress, **words)


def stop(data_root, output, **words):
    with pytest.raises(TrainingStoppedError):
        run(data_root, output, stop=StopAfter(3), **words)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def no_work(monkeypatch):
    """Ends the test where data are read."""
    monkeypatch.setattr(train, "read_training_data", lambda options: pytest.fail("it began"))


@pytest.mark.parametrize("name", ["out.safetensors", "out.png"])
def test_nothing_there_is_replaced_unasked(data_root, tmp_path, no_work, name):
    (tmp_path / name).write_text("theirs")
    with pytest.raises(UserError, match=f"OUT .*{name} exists; pass --overwrite"):
        run(data_root, tmp_path / "out.safetensors")
    assert files(tmp_path) == {name: b"theirs"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_unfinished_run_is_no_file_to_overwrite(data_root, tmp_path, no_work, overwrite):
    (tmp_path / "out.state").write_text("theirs")
    with pytest.raises(UserError, match="add --resume to continue it or --restart"):
        run(data_root, tmp_path / "out.safetensors", overwrite=overwrite)
    assert files(tmp_path) == {"out.state": b"theirs"}


def test_a_run_without_a_state_is_not_resumed_over_a_picture(data_root, tmp_path, no_work):
    (tmp_path / "out.png").write_text("theirs")
    with pytest.raises(UserError, match=r"there is no .*out\.state to resume"):
        run(data_root, tmp_path / "out.safetensors", RESUME)
    with pytest.raises(UserError, match=r"out\.png exists; pass --overwrite"):
        run(data_root, tmp_path / "out.safetensors", RESTART)
    assert files(tmp_path) == {"out.png": b"theirs"}


def test_weights_and_picture_are_replaced_when_told_so(data_root, tmp_path):
    for name in ("out.safetensors", "out.png"):
        (tmp_path / name).write_text("theirs")
    record = run(data_root, tmp_path / "out.safetensors", overwrite=True)
    assert read_training_record(tmp_path / "out.safetensors") == record
    assert files(tmp_path)["out.png"].startswith(b"\x89PNG")


@pytest.mark.parametrize("given", ["b_ir.png", "c_vi.png", "manifest.csv"])
@pytest.mark.parametrize("name", ["out.safetensors", "out.png", "out.state"])
def test_nothing_it_learns_from_is_written_over(data_root, tmp_path, no_work, name, given):
    (tmp_path / name).symlink_to(data_root / given)
    before = files(data_root)
    # --restart alone would replace a picture and a state.
    options = RESTART if name == "out.state" else RunOptions()
    with pytest.raises(UserError, match=f"would overwrite the input .*{given}"):
        run(data_root, tmp_path / "out.safetensors", options, overwrite=True)
    assert files(data_root) == before


@pytest.mark.parametrize("options", [RESUME, RESTART])
def test_a_run_that_goes_on_draws_over_no_input(data_root, no_work, options):
    (data_root / "a_vi.state").write_text("an earlier run's")
    before = files(data_root)
    with pytest.raises(UserError, match=r"would overwrite the input .*a_vi\.png"):
        run(data_root, data_root / "a_vi.safetensors", options)
    assert files(data_root) == before


def test_what_fine_tuning_begins_with_is_not_written_over(data_root, tmp_path, no_work):
    ranges, start = tmp_path / "ranges.json", tmp_path / "start.safetensors"
    ranges.write_text("{}")
    start.write_bytes(EDGE_WEIGHTS.read_bytes())
    (tmp_path / "out.png").symlink_to(ranges)
    for output in (start, tmp_path / "out.safetensors"):
        with pytest.raises(UserError, match="would overwrite the input"):
            run(data_root, output, tuning=FineTuning(ranges, start), overwrite=True)
    assert start.read_bytes() == EDGE_WEIGHTS.read_bytes() and ranges.read_text() == "{}"


@pytest.mark.parametrize("options", [RESUME, RESTART])
def test_a_run_that_goes_on_replaces_its_picture_and_state_unasked(data_root, tmp_path, options):
    stop(data_root, tmp_path / "out.safetensors")
    assert sorted(files(tmp_path)) == ["out.png", "out.state"]
    run(data_root, tmp_path / "out.safetensors", options)
    assert sorted(files(tmp_path)) == ["out.png", "out.safetensors"]


def test_a_run_that_goes_on_does_not_replace_weights_unasked(data_root, tmp_path):
    (tmp_path / "out.safetensors").write_text("theirs")
    stop(data_root, tmp_path / "out.safetensors", overwrite=True)
    assert files(tmp_path)["out.safetensors"] == b"theirs"  # until the new ones are whole
    with pytest.raises(UserError, match=r"out\.safetensors exists; pass --overwrite"):
        run(data_root, tmp_path / "out.safetensors", RESUME)
    run(data_root, tmp_path / "out.safetensors", RESUME, overwrite=True)
    assert sorted(files(tmp_path)) == ["out.png", "out.safetensors"]
    read_training_record(tmp_path / "out.safetensors")


def test_a_state_that_appears_meanwhile_stays_and_this_runs_is_beside_it(data_root, tmp_path):
    state = tmp_path / "out.state"
    stop = StopAfter(2, lambda: state.write_text("theirs"))
    with pytest.raises(UserError, match=r"out\.state appeared meanwhile.*out\.part\.state"):
        run(data_root, tmp_path / "out.safetensors", stop=stop)
    assert state.read_text() == "theirs"
    safetensors.torch.load_file(tmp_path / "out.part.state")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_finished_run_removes_no_state_that_it_did_not_write(data_root, tmp_path, overwrite):
    state = tmp_path / "out.state"
    meanwhile = StopAfter(99, lambda: state.write_text("theirs"))
    run(data_root, tmp_path / "out.safetensors", stop=meanwhile, overwrite=overwrite)
    assert state.read_text() == "theirs"


def test_a_state_behind_a_link_goes_and_the_link_stays(data_root, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out.state").symlink_to("elsewhere/a.state")
    stop(data_root, tmp_path / "out.safetensors")
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["a.state"]
    run(data_root, tmp_path / "out.safetensors", RESUME)
    assert (tmp_path / "out.state").is_symlink()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_failed_picture_costs_no_training_and_is_told(data_root, tmp_path, fill_disk):
    fill_disk(".png")
    told = r"out\.safetensors is written, but .*out\.png \(No space"
    with pytest.raises(EndedEarlyError, match=told) as error:
        run(data_root, tmp_path / "out.safetensors", ALWAYS)
    assert error.value.figures.steps == 4
    assert sorted(files(tmp_path)) == ["out.safetensors"]
    assert read_training_record(tmp_path / "out.safetensors").steps == 4


def test_a_failed_state_costs_no_training_and_is_noted(data_root, tmp_path, fill_disk):
    fill_disk(".state")
    told = Told()
    run(data_root, tmp_path / "out.safetensors", ALWAYS, progress=told)
    assert any(sentence.startswith("note: cannot write") for sentence in told.said)
    assert sorted(files(tmp_path)) == ["out.png", "out.safetensors"]
    with pytest.raises(UserError, match=r"cannot write .*b\.state \(No space"):
        run(data_root, tmp_path / "b.safetensors", stop=StopAfter(2))


def test_weights_that_cannot_be_written_leave_the_former_ones_and_the_state(
    data_root, tmp_path, fill_disk
):
    (tmp_path / "out.safetensors").write_text("theirs")
    fill_disk(".safetensors")
    with pytest.raises(UserError, match=r"cannot write .*out\.safetensors \(No space"):
        run(data_root, tmp_path / "out.safetensors", ALWAYS, overwrite=True)
    assert files(tmp_path)["out.safetensors"] == b"theirs"
    fill_disk()
    run(data_root, tmp_path / "out.safetensors", RESUME, overwrite=True)
    assert read_training_record(tmp_path / "out.safetensors").resumed == 1


def test_the_command_takes_the_option(data_root, tmp_path, no_work):
    (tmp_path / "out.safetensors").write_text("theirs")
    words = ["train", str(data_root), str(tmp_path / "out.safetensors"), "--steps", "1"]
    with pytest.raises(UserError, match="exists; pass --overwrite"):
        build_app()(words, standalone_mode=False)
    with pytest.raises(pytest.fail.Exception, match="it began"):
        build_app()([*words, "-y"], standalone_mode=False)
