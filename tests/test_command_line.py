"""Every wrong thing typed: exit code 2, one line that says what to do, nothing written."""

import shutil
import sys

import cv2
import numpy as np
import pytest
from support.command_tree import options_of_words

from mgdn_edge.cli import main
from mgdn_edge.runtime.bundle.network_names import packaged_bundles
from mgdn_edge.runtime.errors import EXIT_CODES, named_options

# words -> what the line must say. Paths are those of the folder `wrong` makes; {x} is its file x.
USAGE = {
    "nonsense": "no such command 'nonsense'; see: mgdn --help",
    "fuse --nope": "no such option: --nope",
    "bundle": "missing command; see: mgdn bundle --help",
    "bundle nonsense": "no such command 'nonsense'; see: mgdn bundle --help",
    "fuse": "missing argument 'VISIBLE'; see: mgdn fuse --help",
    "fuse {vi}": "missing argument 'INFRARED'",
    "fuse {vi} {ir}": "missing argument 'OUTPUT'",
    "fuse {vi} {ir} {out} more": "unexpected extra argument",
    "fuse {vi} {ir} {out} --frames": "'--frames' requires an argument; see: mgdn fuse --help",
    "fuse {vi} {ir} {out} --frames x": "--frames x: ",
    "fuse {vi} {ir} {out} --frames 1.5": "--frames 1.5: ",
    "fuse {vi} {ir} {out} --threads 0": "--threads 0: ",
    "fuse {vi} {ir} {out} --threads=-1": "--threads -1: ",
    "fuse {vi} {ir} {out} --pace fast": "--pace fast: 'fast' is not one of 'none', 'source'",
    "fuse {vi} {ir} {out} --resize=yes": "--resize",
    "fuse -x {vi} {ir} {out}": "no such option: -x",
    "bench --size": "'--size' requires an argument",
    "bench --frames many": "--frames many: ",
    "bench --threads 0": "--threads 0: ",
    "bench more": "no such command",
    "profile more": "unexpected extra argument",
    "profile --frames many": "--frames many: ",
    "profile --threads 0": "--threads 0: ",
    "export": "missing argument 'OUT'",
    "export {new} --nope 1": "no such option: --nope",
    "check": "missing argument 'EXPORT_DIR'",
    "check {empty} --frames 0": "--frames 0: ",
    "train": "missing argument 'DATA",
    "train {empty} {new}.safetensors --steps x": "--steps x: ",
    "bundle create": "missing argument 'EXPORT_DIR'",
    "bundle create {empty}": "missing argument 'OUT.mgdn'",
    "bundle inspect": "missing argument 'BUNDLE.mgdn'",
    "bundle verify": "missing argument 'BUNDLE.mgdn'",
    "bundle verify {bundle} more": "unexpected extra argument",
    "align": "missing argument 'VISIBLE'; see: mgdn align --help",
    "align {vi} {ir}": "missing argument 'RIG.toml'",
    "align {vi} {ir} {new}.toml --area all": "--area all: 'all' is not one of 'fill', 'crop'",
    "align {vi} {ir} {new}.toml --frames 0": "--frames 0: ",
    "align {vi} {ir} {new}.toml --click --target board:8x5": "three ways to measure; pass one",
    "align {vi} {ir} {new}.toml --target ring:8x5": "board:8x5:40",
    "fuse {vi} {ir} {out} --realign": "pass --rig FILE.toml too",
    "quantize": "missing argument 'NETWORK'",
    "quantize {bundle}": "missing argument 'PAIRS'",
    "quantize {bundle} {empty}": "missing argument 'OUT.mgdn'",
    "quantize {bundle} {empty} {new}.mgdn --method fast": "'fast' is not one of",
    "quantize {bundle} {empty} {new}.mgdn --pairs x": "--pairs x: ",
    "build": "missing argument 'BUNDLE'; see: mgdn build --help",
    "build {bundle} --filter none": "--filter none: ",
    "build {bundle} --workspace 0": "--workspace 0: ",
    "build {bundle} --level 6": "--level 6: ",
    "cache": "missing command; see: mgdn cache --help",
    "cache why": "missing argument 'BUNDLE'",
    "cache gc --max-size -1": "--max-size -1: ",
    "fuse {vi} {ir} {out} --filter none": "--filter none: 'none' is not one of 'native', 'body'",
    "build {bundle} --filter plugin": "--filter plugin: 'plugin' is not one of 'native', 'body'",
    "bench --filter none": "--filter none: ",
    "bench --no-native": "no such option: --no-native",
    "profile --filter none": "--filter none: ",
    "evaluate --filter none": "--filter none: ",
    "accept --filter none": "--filter none: ",
    "accept a b": "unexpected extra argument",
    "accept --soak -1": "--soak -1: ",
    "accept --frames 9": "--frames 9: ",
    "accept --threads 0": "--threads 0: ",
    "doctor more": "unexpected extra argument",
    "doctor --fix": "no such option: --fix",
    "sync": "missing argument 'VISIBLE'",
    "sync {vi} {ir} --within 1": "--within 1: ",
    "temperature": "missing argument 'FILE.mkv'",
    "cameras more": "unexpected extra argument",
    "demo a b": "unexpected extra argument",
    "demo --frames 3": "no such option: --frames",
}
FUSE = {
    "fuse nowhere.png {ir} {out}": "does not exist",
    "fuse {vi} nowhere.png {out}": "does not exist",
    "fuse {text} {ir} {out}": "text.png",
    "fuse {cut} {ir} {out}": "truncated",
    "fuse {empty} {ir} {out}": "holds no images",
    "fuse {vi} {small} {out}": "--resize",
    "fuse {vi} {colour} {out}": "--infrared-luma",
    "fuse {vi} {ir} {folder}/no/out.png": "mkdir -p",
    "fuse {vi} {counts} {out}": "--infrared-agc percentile follows the scene; --infrared-span",
    "fuse {vi} {counts} {out} --infrared-span 1C:9C": "--infrared-scale KELVIN_PER_COUNT",
    "fuse {folder}/more {folder}/fewer {out}": "--shortest",
    "fuse {vi} {ir} {vi}/out.png": "is not a folder",
    "fuse {vi} {ir} {vi}": "would overwrite",
    "fuse {vi} {ir} {ir}": "would overwrite",
    "fuse {vi} {ir} {folder}/out.gif": "not a kind of output",
    "fuse {vi} {ir} {out} --network avrage": "did you mean average",
    "fuse {vi} {ir} {out} --network average --bundle {bundle}": "pass one of them",
    "fuse {vi} {ir} {out} --bundle nowhere.mgdn": "nowhere.mgdn",
    "fuse {vi} {ir} {out} --bundle {text}": "text.png",
    "fuse {vi} {ir} {out} --bundle {cutbundle}": "not a usable bundle",
    "fuse {vi} {ir} {out} --network average --backend cuda": "has no backend cuda",
    "fuse {vi} {ir} {out} --backend cuda": "backend cuda",
    "fuse {vi} {ir} {out} --variant 1x1": "variant 1x1",
    "fuse {vi} {ir} {out} --precision int3": "precision int3",
    "fuse {vi} {ir} {out} --frames 0": "asks for no frame",
    "fuse {vi} {ir} {out} --infrared-span 9": "LOW:HIGH",
    "fuse {vi} {ir} {out} --infrared-span a:b": "LOW:HIGH",
    "fuse {vi} {ir} {out} --pace source": "needs a clock",
    "fuse {vi} {ir} {out} --report r.txt": "does not end in .html",
    "fuse {vi} {ir} {out} --report {folder}/no/r.html": "mkdir -p",
    "fuse {vi} {ir} {out} --report {htmlfolder}": "is a folder",
    "fuse {vi} {ir} {out} --trace {vi}": "does not end in .json",
    "fuse {vi} {ir} {out} --trace {folder}/no/t.json": "mkdir -p",
    "fuse gopher://x {ir} {out}": "gopher://x",
    "fuse {vi} {ir} gst:fakesink": "is a source; give a file",
    "fuse {vi} {ir} {out} --visible-password x": "no such option: --visible-password",
    "fuse {vi} {ir} {out} --visible-password-file {text}": "leave out --visible-password-file",
    "fuse {vi} {ir} {out} --output-password-file {text}": "leave out --output-password-file",
    "fuse {vi} rtsp://a@cam {out} --infrared-password-file nowhere": "nowhere (No such file",
}
OTHERS = {
    "bench --size 640": "WIDTHxHEIGHT",
    "bench --size 0x5": "WIDTHxHEIGHT",
    "bench --size 640x": "WIDTHxHEIGHT",
    "bench --frames 0": "--frames 1 or more",
    "bench --warmup -1": "--frames 1 or more",
    "bench --network nope": "'nope' is unknown",
    "bench --compare nope": "'nope' is unknown",
    "evaluate --backend tensorr": "--backend tensorr is unknown; did you mean tensorrt?",
    "evaluate --fallback tensorrt --precision int8": "has nothing for precision int8",
    "bench --bundle {text} --network average": "pass one of them",
    "bench --bundle {cutbundle}": "not a usable bundle",
    "bench --network average --report {folder}/no/r.html": "mkdir -p",
    "bench --network average --report r.pdf": "does not end in .html",
    "profile --size 640": "WIDTHxHEIGHT",
    "profile --frames 0": "--frames 1 or more",
    "profile --network average": "mgdn bench --network average",
    "profile --network nope": "'nope' is unknown",
    "profile --bundle nowhere.mgdn": "nowhere.mgdn",
    "profile --bundle {cutbundle}": "not a usable bundle",
    "profile --bundle {bundle} --network average": "pass one of them",
    "profile --variant 1x1": "variant 1x1",
    "profile --report r.pdf": "does not end in .html",
    "profile --report {folder}/no/r.html": "mkdir -p",
    "bundle create nowhere {new}.mgdn": "export.json",
    "bundle create {empty} {new}.mgdn": "export.json",
    "bundle inspect nowhere.mgdn": "nowhere.mgdn",
    "bundle inspect {text}": "not a usable bundle",
    "bundle inspect {empty}": "cannot open bundle",
    "bundle inspect {cutbundle}": "not a usable bundle",
    "bundle verify {cutbundle}": "not a usable bundle",
    "bundle verify {flipped}": "damaged",
    "build {bundle} --size 640": "WIDTHxHEIGHT",
    "build {bundle} --builder nope": "builder 'nope' is unknown",
    "accept nowhere.mgdn --backend onnxruntime-cpu": "nowhere.mgdn",
    "accept {cutbundle} --backend onnxruntime-cpu": "not a usable bundle",
    "accept average --backend onnxruntime-cpu": "mgdn bench --network average",
    "accept {bundle} --backend ort-cpu": "did you mean onnxruntime-cpu",
    "accept {bundle} --backend cuda": "--backend cuda is unknown",
    "accept {bundle} --backend tensorrt --threads 2": "--threads 2 is for the CPU",
    "demo {vi}": "cannot write to",
    "align {vi} {colour} {new}.toml": "--infrared-luma",
    "align {vi} {counts} {new}.toml": "--infrared-span",
    "align {vi} {counts} {new}.toml --infrared-span 1C:9C": "give counts",
    "sync {vi} {colour}": "grey is needed",
    "sync {vi} {counts} --infrared-span 1C:9C": "give counts",
}
EXPORT = {
    "export {new} --variant nope": "nope",
    "export {new} --padding nope": "--padding nope is unknown",
    "export {new} --size 640": "WIDTHxHEIGHT",
    "export {new} --checkpoint nowhere.safetensors": "nowhere.safetensors",
    "export {new} --checkpoint {text}": "text.png",
    "export {new} --variant mff": "--checkpoint",
    "export {vi}": "vi.png",
    "check nowhere": "export.json",
    "check {empty}": "export.json",
    "check {empty} {vi}": "is a file; give a folder",
    "check {empty} {vi} {ir}": "export.json",
    "check {empty} --bundle {cutbundle}": "export.json",
    "train nowhere {new}.safetensors": "nowhere",
    "train {empty} {new}.safetensors": "empty",
    "train {empty} {new}.safetensors --recipe nope": "nope",
    "train {empty} {new}.safetensors --steps 1 --minutes 1": "either steps or minutes, not both",
    "train {vi},{colour} {new}.safetensors": "--infrared-luma",
    "train {vi},{counts} {new}.safetensors": "--infrared-span",
    "train {vi},{counts} {new}.safetensors --infrared-span 1C:9C": "in degrees",
}
QUANTIZE = {
    "quantize nope {empty} {new}.mgdn": "network 'nope' is unknown",
    "quantize nowhere.mgdn {empty} {new}.mgdn": "nowhere.mgdn",
    "quantize {cutbundle} {empty} {new}.mgdn": "not a usable bundle",
    "quantize {bundle} nowhere {new}.mgdn": "nowhere does not exist; give a folder",
    "quantize {bundle} {vi} {new}.mgdn": "is a file; give a folder",
    "quantize {bundle} {empty} {new}.mgdn": "holds no vi",
    "quantize {bundle} {vi},{small} {new}.mgdn": "visible is 32x24, infrared 16x12",
    "quantize {bundle} {vi},{ir} {new}.mgdn": "1 pairs are too few",
    "quantize {bundle} {vi},{colour} {new}.mgdn": "give the camera's grey recording",
    "quantize {bundle} {vi},{counts} {new}.mgdn": "give an 8-bit recording",
    "quantize {bundle} {folder}/more,{folder}/fewer {new}.mgdn": "complete the folders",
    "quantize {bundle} {ir},{vi} {new}.mgdn": "the visible recording comes first",
    "quantize {bundle} {vi},{ir} {new}.mgdn --held-out {vi},{ir}": "is calibration pair",
    "quantize {bundle} {vi},{ir} {new}.mgdn --pairs 0 --held-out {vi},{ir}": "--pairs 0",
    "quantize {bundle} {empty}#x {new}.mgdn": "manifest.csv",
    "quantize {bundle} {vi},{ir} {new}.onnx": "does not end in .mgdn",
    "quantize {bundle} {vi},{ir} {folder}/no/a.mgdn": "mkdir -p",
    "quantize {bundle} {vi},{ir} {new}.mgdn --percentile 0": "--percentile 0 is not above 0",
    "quantize {bundle} {vi},{ir} {new}.mgdn --contract fast": "--contract clause 'fast'",
    "quantize {bundle} {vi},{ir} {new}.mgdn --tensorrt 11.0.0": "removed them",
    "quantize {bundle} {vi},{ir} {new}.mgdn --report r.txt": "does not end in .html",
    "quantize {bundle} {vi},{ir} {new}.mgdn --calibration-cache r.txt": "does not end in .cache",
}


@pytest.fixture
def wrong(tmp_path, monkeypatch):
    """A folder of things to get wrong; the working directory is an empty folder inside."""
    names = {
        name: tmp_path / name
        for name in [
            "vi.png",
            "ir.png",
            "small.png",
            "colour.png",
            "counts.png",
            "text.png",
            "cut.png",
        ]
    }
    generator = np.random.default_rng(2)
    for name, shape in (
        ("vi.png", (24, 32)), ("ir.png", (24, 32)), ("small.png", (12, 16)),
        ("colour.png", (24, 32, 3)), ("cut.png", (24, 32)),
    ):  # fmt: skip
        cv2.imwrite(str(names[name]), generator.integers(0, 256, shape, np.uint8))
    cv2.imwrite(str(names["counts.png"]), generator.integers(0, 65536, (24, 32), np.uint16))
    for folder, stems in (("more", "ab"), ("fewer", "a")):
        (tmp_path / folder).mkdir()
        for stem in stems:
            shutil.copyfile(names["ir.png"], tmp_path / folder / f"{stem}.png")
    names["cut.png"].write_bytes(names["cut.png"].read_bytes()[:300])
    names["text.png"].write_text("no picture in here\n" * 30)
    packaged = packaged_bundles()["mgdn-edge"]
    bundle, cut, flipped = (tmp_path / f"{name}.mgdn" for name in ("bundle", "cut", "flipped"))
    shutil.copyfile(packaged, bundle)
    data = bytearray(packaged.read_bytes())
    cut.write_bytes(data[:-100])
    data[5000] ^= 1
    flipped.write_bytes(data)
    for name in ("empty", "here", "page.html"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return {
        **{name.removesuffix(".png"): path for name, path in names.items()},
        "bundle": bundle, "cutbundle": cut, "flipped": flipped, "empty": tmp_path / "empty",
        "folder": tmp_path, "htmlfolder": tmp_path / "page.html", "out": tmp_path / "out.png",
        "new": tmp_path / "new",
    }  # fmt: skip


def snapshot(folder):
    """Every path below ``folder`` with its bytes, None for folders."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def check_refusal(words, message, wrong, monkeypatch, capfd):
    given = [word.format_map(wrong) for word in words.split()]
    before = snapshot(wrong["folder"])
    monkeypatch.setattr(sys, "argv", ["mgdn", *given])
    with pytest.raises(SystemExit) as end:
        main()
    out, err = capfd.readouterr()
    assert end.value.code == 2, err
    assert out == ""
    assert err.startswith("mgdn: error: ") and err.endswith("\n") and err.count("\n") == 1, err
    assert message and message in err
    assert set(named_options(err)) <= {*options_of_words(given), *given}, err
    assert err.strip().isprintable() and len(err) < 1000
    assert snapshot(wrong["folder"]) == before


@pytest.mark.parametrize("words", [*USAGE, *FUSE, *OTHERS])
def test_wrong_words_are_one_line_and_leave_nothing(wrong, monkeypatch, capfd, words):
    check_refusal(words, {**USAGE, **FUSE, **OTHERS}[words], wrong, monkeypatch, capfd)


@pytest.mark.export
@pytest.mark.parametrize("words", EXPORT)
def test_wrong_words_of_export_check_and_train(wrong, monkeypatch, capfd, words):
    check_refusal(words, EXPORT[words], wrong, monkeypatch, capfd)


@pytest.mark.export
@pytest.mark.parametrize("words", QUANTIZE)
def test_wrong_words_of_quantize(wrong, monkeypatch, capfd, words):
    check_refusal(words, QUANTIZE[words], wrong, monkeypatch, capfd)


@pytest.mark.parametrize("words", ["", "--help", "fuse --help", "bundle create --help"])
def test_help_is_no_error(monkeypatch, capfd, words):
    monkeypatch.setattr(sys, "argv", ["mgdn", *words.split()])
    with pytest.raises(SystemExit) as end:
        main()
    out, err = capfd.readouterr()
    assert (end.value.code, err) == (0, "")
    assert "Usage: mgdn" in out


def test_the_help_lists_the_exit_codes(monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["mgdn", "--help"])
    with pytest.raises(SystemExit):
        main()
    lines = [line.split(maxsplit=1) for line in capfd.readouterr().out.splitlines() if line.strip()]
    for code, told in EXIT_CODES.items():
        assert [str(code), told] in lines


def test_names_that_are_no_text_are_shown_as_escapes(monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)
    words = ["mgdn", "fuse", "a\x1b[31m\nb\udcff.mp4", "ir.mp4", "out.mp4"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        main()
    _, err = capfd.readouterr()
    assert end.value.code == 2
    assert err.count("\n") == 1 and err.strip().isprintable()
    assert list(tmp_path.iterdir()) == []
