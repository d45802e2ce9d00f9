"""mgdn build and mgdn cache: what they print and how they end."""

import json
import sys

import pytest
from support.engine_samples import ORIN, PLENTY, STANDIN

from mgdn_edge.cli import main
from mgdn_edge.runtime.fusion.engines import bundle_engines, engine_plan
from mgdn_edge.runtime.fusion.engines.memory_need import MIB
from mgdn_edge.runtime.fusion.engines.obtain_engine import FreeMemory


@pytest.fixture
def mgdn(monkeypatch, standin, tmp_path, capfd, tiny_bundle):
    """``mgdn(words)`` -> (exit code, stdout, stderr), on an Orin with the stand-in builder."""
    monkeypatch.syspath_prepend(str(STANDIN))
    monkeypatch.setitem(engine_plan.BUILDERS, "tensorrt", "builder_standin")
    monkeypatch.setattr(engine_plan, "read_device", lambda: ORIN)
    monkeypatch.setattr(bundle_engines, "free_memory", lambda integrated: PLENTY)
    monkeypatch.setenv("MGDN_CACHE", str(tmp_path / "cache"))

    def run(words):
        given = [word.format(tiny=tiny_bundle) for word in words.split()]
        monkeypatch.setattr(sys, "argv", ["mgdn", *given])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, *capfd.readouterr()

    run.cache = tmp_path / "cache"
    run.engine = lambda: next((tmp_path / "cache/engines").glob("*.engine"))
    return run


def test_built_then_cached_in_words_and_json(mgdn):
    code, out, err = mgdn("build {tiny}")
    assert code == 0 and out.startswith("built tiny 16x12 fp32: ") and out.count("\n") == 1
    assert "parity is checked before first use" in out and str(mgdn.engine()) in out
    assert "building an engine: there is none for tiny" in err
    code, out, err = mgdn("build {tiny} --json")
    (engine,) = json.loads(out)["engines"]
    assert (code, err, engine["origin"], engine["path"]) == (0, "", "cached", str(mgdn.engine()))
    assert engine["key"]["gpu"] == "Orin"


def test_a_changed_option_names_itself(mgdn):
    mgdn("build {tiny}")
    _, out, _ = mgdn("cache why {tiny}")
    assert out == "tiny 16x12 fp32: cached; every field fits\n"
    _, out, _ = mgdn("cache why {tiny} --workspace 77")
    assert "would build; the nearest one differs in workspace in MiB (wanted 77, found 1024)" in out
    _, out, _ = mgdn("cache why {tiny} --json --tf32")
    (why,) = json.loads(out)["engines"]
    assert why["state"] == "would build" and "TF32" in why["reason"]
    _, _, err = mgdn("build {tiny} --level 1")
    assert "differs in optimization level (wanted 1, found 3)" in err


def damage(engine):
    engine.write_bytes(engine.read_bytes()[:-1])


def swap_device(engine):
    record = engine.with_suffix(".json")
    record.write_text(record.read_text().replace('"Orin"', '"NVIDIA Thor"'))


FAILURES = {
    "killed": ("build {tiny}", None, "killed while timing tactics, as the kernel does"),
    "segfault": ("build {tiny}", None, "the builder crashed (SIGSEGV)"),
    "parse": ("build {tiny}", None, "the parser refused the model"),
    "corrupt": ("build {tiny} --cached-only", damage, "is damaged: "),
    "foreign": (
        "build {tiny} --cached-only",
        swap_device,
        "is an engine of another device: it differs in GPU (wanted Orin, found NVIDIA Thor)",
    ),
    "absent": ("build {tiny} --cached-only --tf32", None, "no cached engine fits"),
    "plugin": ("build mgdn-edge", None, "needs the TensorRT plugin"),
    "builder": ("build {tiny} --builder tensorrt-rtx", None, "does not import here"),
    "memory": ("build {tiny} --workspace 99999999", None, "could use up the memory"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_the_device_cannot_do_is_one_line_and_exit_code_3(mgdn, standin, monkeypatch, name):
    words, spoil, sentence = FAILURES[name]
    if spoil is not None:
        mgdn("build {tiny}")
        spoil(mgdn.engine())
    standin(name)
    monkeypatch.setitem(engine_plan.BUILDERS, "tensorrt-rtx", "no_such_builder")
    monkeypatch.setattr("mgdn_edge.plugins.tensorrt_plugin.find_plugin", lambda: None)
    code, out, err = mgdn(words)
    line = err.splitlines()[-1]
    assert (code, out) == (3, "")
    assert line.startswith("mgdn: error: ") and sentence in line, err


def test_memory_that_is_short_can_be_ignored(mgdn, monkeypatch):
    little = FreeMemory(host=lambda: 100 * MIB)
    monkeypatch.setattr(bundle_engines, "free_memory", lambda integrated: little)
    assert mgdn("build {tiny}")[0] == 3
    assert mgdn("build {tiny} --ignore-memory")[0] == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("build nope", "known: mgdn-edge"),
        ("build {tiny} --builder trt", "builder 'trt' is unknown"),
        ("build {tiny} --size 5", "WIDTHxHEIGHT"),
        ("build {tiny} --variant 1x1", "variant 1x1"),
        ("build {tiny} --precision int3", "in int3"),
        ("build {tiny} --filter none", "--filter none"),
        ("build {tiny} --level 6", "--level 6"),
        ("build {tiny} --workspace 0", "--workspace 0"),
        ("cache why nope", "known: mgdn-edge"),
        ("cache gc --max-size -1", "--max-size -1"),
        ("cache", "missing command; see: mgdn cache --help"),
    ],
)
def test_wrong_words_are_exit_code_2_and_leave_nothing(mgdn, words, sentence):
    code, out, err = mgdn(words)
    assert (code, out) == (2, "") and sentence in err and err.count("\n") == 1
    assert not mgdn.cache.exists()


def test_the_list_and_the_cleaning(mgdn):
    assert "no engines in" in mgdn("cache ls")[1]
    mgdn("build {tiny}")
    mgdn("build {tiny} --tf32")
    _, out, _ = mgdn("cache ls")
    assert out.count("  sound\n") == 2
    assert "tiny 16x12 fp32, filter none, tensorrt 10.3.0, Orin; 0.0 MiB" in out
    damage(mgdn.engine())
    listed = json.loads(mgdn("cache ls --json")[1])["engines"]
    assert sorted(engine["state"] for engine in listed)[1:] == ["sound"]
    code, out, _ = mgdn("cache gc --all --dry-run")
    assert code == 0 and "would remove 3 files or engines" in out  # two engines, timings
    assert len(list((mgdn.cache / "engines").iterdir())) == 4
    removed = json.loads(mgdn("cache gc --all --json")[1])["removed"]
    assert len(removed) == 3 and list((mgdn.cache / "engines").iterdir()) == []


@pytest.mark.rtx
def test_the_default_network_becomes_engines_ahead_of_time(mgdn):
    code, out, _ = mgdn("build mgdn-edge --builder tensorrt-rtx --filter body --json")
    engines = json.loads(out)["engines"]
    assert code == 0 and [engine["variant"] for engine in engines] == ["640x480", "640x512"]
    assert all(engine["bytes"] > 100_000 and engine["notes"] == [] for engine in engines)
    assert mgdn("cache why mgdn-edge --builder tensorrt-rtx --filter body")[1].count("cached") == 2
