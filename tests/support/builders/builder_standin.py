"""A stand-in for the module `tensorrt`: keeps its rules, and ends as MGDN_STANDIN asks.

Its engine is JSON of what it was told, so tests can read that. It is no builder: the real ones
(TensorRT-RTX) run the same code in tests/export/test_nvidia_engines.py.
"""

import enum
import json
import os
import resource
import signal
import sys
import time
import weakref
from pathlib import Path

__version__ = "10.3.0"
ENDING = os.environ.get("MGDN_STANDIN", "")

if ENDING == "no module":
    raise ImportError("libnvinfer.so.10: cannot open shared object file")


class DataType(enum.Enum):
    FLOAT = 0
    UINT8 = 1


class NetworkDefinitionCreationFlag(enum.IntEnum):
    STRONGLY_TYPED = 1


class MemoryPoolType(enum.Enum):
    WORKSPACE = 0


class BuilderFlag(enum.Enum):
    TF32 = 0


class ProfilingVerbosity(enum.Enum):
    DETAILED = 2


class ILogger:
    class Severity(enum.IntEnum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3


class IProgressMonitor:
    pass


if ENDING == "no monitor":
    del IProgressMonitor


class IHostMemory(bytes):
    pass


class ITensor:
    def __init__(self, name, shape, dtype=DataType.UINT8):
        self.name, self.shape, self.dtype = name, shape, dtype


class INetworkDefinition:
    num_inputs, num_outputs, num_layers = 2, 1, 7

    def __init__(self, flags):
        self.flags = flags
        sides = (-1, -1) if ENDING == "dynamic" else (12, 16)
        kind = DataType.FLOAT if ENDING == "float input" else DataType.UINT8
        self.tensors = [
            ITensor(name, (1, 1, *sides), kind) for name in ("visible", "infrared", "fused")
        ]

    def get_input(self, number):
        return self.tensors[number]

    def get_output(self, number):
        return self.tensors[2 + number]


class ParserError:
    def node_name(self):
        return "core.filter/DynamicFilter"

    def node_operator(self):
        return "DynamicFilter"

    def desc(self):
        return "Plugin not found"


class OnnxParser:
    num_errors = 1

    def __init__(self, network, logger):
        self.logger = logger
        network.parser = weakref.ref(self)

    def parse(self, model):
        assert isinstance(model, bytes) and model
        if ENDING == "parse":
            self.logger.log(ILogger.Severity.ERROR, "While parsing node number 3")
        return ENDING != "parse"

    def get_error(self, number):
        return ParserError()


class ITimingCache:
    def __init__(self, content):
        self.content = content

    def serialize(self):
        return IHostMemory(self.content + b"T")


class IOptimizationProfile:
    def __init__(self):
        self.shapes = {}

    def set_shape(self, name, low, best, high):
        self.shapes[name] = [low, best, high]


class IBuilderConfig:
    def __init__(self):
        self.told = {"tf32": True}
        self.timings = None
        self.progress_monitor = None

    def __setattr__(self, name, value):
        if name == "progress_monitor" and value is not None:
            value = weakref.ref(value)
        super().__setattr__(name, value)

    def set_memory_pool_limit(self, pool, limit):
        self.told["workspace"] = limit

    def clear_flag(self, flag):
        self.told["tf32"] = False

    def add_optimization_profile(self, profile):
        self.told["profile"] = profile.shapes
        return 0

    def create_timing_cache(self, content):
        return ITimingCache(content)

    def set_timing_cache(self, timings, ignore_mismatch):
        assert ignore_mismatch is False
        if ENDING == "other timings" and timings.content:
            return False
        self.timings = timings
        return True

    def get_timing_cache(self):
        return self.timings


class Builder:
    def __init__(self, logger):
        self.logger = logger

    def create_network(self, flags):
        return INetworkDefinition(flags)

    def create_builder_config(self):
        return IBuilderConfig()

    def create_optimization_profile(self):
        return IOptimizationProfile()

    def build_serialized_network(self, network, config):
        if network.parser() is None:
            os.abort()  # the weights were the parser's
        monitor = config.progress_monitor and config.progress_monitor()
        if monitor is not None:
            monitor.phase_start("Building engine", None, 2)
            monitor.step_complete("Building engine", 0)
            monitor.phase_start("Timing tactics", "Building engine", 4)
            monitor.step_complete("Timing tactics", 1)
        end_as_asked(self.logger)
        if ENDING == "none":
            return None
        return IHostMemory(json.dumps(self._told(network, config)).encode())

    def _told(self, network, config):
        return config.told | {
            "flags": network.flags,
            "level": config.builder_optimization_level,
            "verbosity": config.profiling_verbosity.name,
            "known_timings": config.timings.content.decode(),
            "oom_score_adj": Path("/proc/self/oom_score_adj").read_text().strip(),
            "pid": os.getpid(),
            "alone": os.getpgrp() == os.getpid(),  # a terminal's Ctrl-C does not reach it
        }


def end_as_asked(logger):
    if ENDING == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if ENDING == "segfault":
        logger.log(ILogger.Severity.ERROR, "Assertion mRefCount > 0 failed")
        os.kill(os.getpid(), signal.SIGSEGV)
    if ENDING == "abort":
        print("terminate called after throwing an instance of 'nvinfer1::Error'", file=sys.stderr)
        sys.stderr.flush()
        os.abort()
    if ENDING == "bad_alloc":
        sys.stderr.write("terminate called after throwing an instance of 'std::bad_alloc'\n")
        sys.stderr.flush()
        os.abort()
    if ENDING == "limit":
        limit = 1 << 20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        bytearray(1 << 30)
    if ENDING == "none":
        logger.log(
            ILogger.Severity.ERROR,
            "[optimizer.cpp] Error Code 10: Could not find any implementation for node conv",
        )
    if ENDING == "gpu memory":
        logger.log(
            ILogger.Severity.ERROR, "Requested amount of GPU memory: Error Code 2: OutOfMemory"
        )
        os._exit(1)
    if ENDING == "exit":
        os._exit(7)
    if ENDING == "raise":
        raise RuntimeError("no such tactic")
    if ENDING == "slow":
        Path(os.environ["MGDN_STANDIN_PID"]).write_text(str(os.getpid()))
        time.sleep(60)
    if ENDING == "noise":
        os.write(1, b'{"type":"Failed","reason":"x"}\n\xff\xfe noise\n')
