"""What we call of TensorRT, and what its stand-ins have, exists in NVIDIA's own wheels.

Names are read from our source, where VARIABLES says which variable holds what, and from the
stand-ins' classes, then asked of the real modules, which import without a GPU.
"""

import ast
import enum
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.builders import builder_standin
from support.tensorrt_stand_in import make_tensorrt

RUNTIME = "runtime/fusion/backends/tensorrt.py"
BUILDER = "runtime/fusion/engines/build_network.py"
PLUGIN = "plugins/tensorrt_plugin.py"
# file -> variable -> what it holds: "" the module, else a class of it.
VARIABLES = {
    RUNTIME: {
        "tensorrt": "",
        "runtime": "Runtime",
        "made": "ICudaEngine",
        "engine": "ICudaEngine",
        "self._context": "IExecutionContext",
    },
    BUILDER: {
        "trt": "",
        "builder": "Builder",
        "network": "INetworkDefinition",
        "parser": "OnnxParser",
        "first": "ParserError",
        "tensor": "ITensor",
        "config": "IBuilderConfig",
        "profile": "IOptimizationProfile",
        "timings": "ITimingCache",
    },
    PLUGIN: {
        "tensorrt": "",
        "registry": "IPluginRegistry",
        "creator": "IPluginCreatorV3One",
    },
}
ABSENT = """
import functools, importlib, json, sys
module = importlib.import_module(sys.argv[1])
def is_there(name):
    try:
        functools.reduce(getattr, name.split("."), module)
    except AttributeError:
        return False
    return True
print(json.dumps([name for name in json.load(sys.stdin) if not is_there(name)]))
"""


def dotted(node):
    """The text of a chain of names, such as "trt.ILogger.Severity"; "" for any other expression."""
    if isinstance(node, ast.Name):
        return node.id
    owner = dotted(node.value) if isinstance(node, ast.Attribute) else ""
    return f"{owner}.{node.attr}" if owner else ""


def called_names(source, variables):
    """TensorRT's names that Python source uses: "Builder", "Builder.create_network", ..."""
    found = set()
    for chain in {dotted(node) for node in ast.walk(ast.parse(source))}:
        for variable, owner in variables.items():
            if chain.startswith(f"{variable}."):
                found.add(f"{owner}.{chain.removeprefix(f'{variable}.')}".lstrip("."))
    return found - {"__name__"}


def names_of(stand_in):
    """The public names of a stand-in's classes, and of what is in those."""
    found = set()
    for name, value in vars(stand_in).items():
        ours = getattr(value, "__module__", "").startswith("support.")
        if isinstance(value, SimpleNamespace) or (isinstance(value, type) and ours):
            found |= {name, *(f"{name}.{each}" for each in members_of(value))}
    return found


def members_of(owner):
    if isinstance(owner, type) and issubclass(owner, enum.Enum):
        return set(owner.__members__)
    public = {name: value for name, value in vars(owner).items() if not name.startswith("_")}
    inner = {name: value for name, value in public.items() if isinstance(value, type)}
    return {*public, *(f"{name}.{each}" for name in inner for each in members_of(inner[name]))}


def absent(names, module, folder=None):
    """Those of ``names`` that ``module``, in ``folder`` or installed, does not have."""
    done = subprocess.run(
        [sys.executable, "-c", ABSENT, module],
        input=json.dumps(sorted(names)),
        env={"PATH": "/usr/bin"} | ({"PYTHONPATH": str(folder)} if folder else {}),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def read_called(repository):
    """``read_called(file)`` -> the names of TensorRT that it uses."""
    return lambda file: called_names((repository / file).read_text(), VARIABLES[file])


@pytest.mark.lean
@pytest.mark.parametrize("version", ["lean-10", "lean-11"])
def test_the_runtime_has_what_is_called_and_what_its_stand_in_has(
    tensorrt_root, version, read_called
):
    called = read_called(RUNTIME) | read_called(PLUGIN)
    assert {"Runtime", "ICudaEngine.get_tensor_location", "IPluginRegistry.load_library"} <= called
    stands = names_of(make_tensorrt(cuda=None))
    assert {"ILogger.Severity.ERROR", "IExecutionContext.execute_async_v3"} <= stands
    names = called | stands
    assert absent(names, "tensorrt_lean_bindings", tensorrt_root / version) == []


@pytest.mark.rtx
def test_the_builder_has_what_is_called_and_what_its_stand_in_has(read_called):
    called = read_called(BUILDER) | read_called(RUNTIME) | read_called(PLUGIN)
    assert {"IBuilderConfig.progress_monitor", "OnnxParser.num_errors"} <= called
    stands = names_of(builder_standin) | names_of(make_tensorrt(cuda=None))
    assert {"MemoryPoolType.WORKSPACE", "Builder.create_network", "IHostMemory"} <= stands
    assert absent(called | stands, "tensorrt_rtx_bindings") == []


@pytest.mark.rtx
def test_a_name_that_is_not_there_is_found():
    source = "def f(trt, builder):\n    builder.build(trt.BuilderFlag.FP7)\n    trt.Builder\n"
    names = called_names(source, VARIABLES[BUILDER])
    assert names == {"Builder", "Builder.build", "BuilderFlag", "BuilderFlag.FP7"}
    assert absent(names, "tensorrt_rtx_bindings") == ["Builder.build", "BuilderFlag.FP7"]


def test_a_stand_ins_names_are_those_of_its_classes_and_their_members():
    severity = enum.Enum("Severity", ["ERROR"])
    logger = type("ILogger", (), {"Severity": severity, "log": print, "_kept": 1})
    logger.__module__ = "support.anything"
    names = names_of(SimpleNamespace(ILogger=logger, Path=Path, Mode=SimpleNamespace(IN=1), at=3))
    assert names == {
        "ILogger", "ILogger.Severity", "ILogger.Severity.ERROR", "ILogger.log", "Mode", "Mode.IN",
    }  # fmt: skip
