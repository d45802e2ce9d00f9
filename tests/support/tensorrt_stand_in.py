"""A stand-in for ``tensorrt``: engines that fuse in numpy, in stream order on the CUDA stand-in.

An "engine" is JSON: fused = round(weight * visible + (1 - weight) * infrared). As the real one, it
logs and returns None or False instead of raising, and its context owns scratch memory, so that two
frames at once in one context are a race.
"""

import json
from enum import Enum
from types import SimpleNamespace

import numpy as np

SCRATCH_BYTES = 4096
INFER_SECONDS = 1e-3
BUS_BYTES_PER_SECOND = 1e9  # of a discrete GPU reading the host's memory
GPU = "Stand-in"


def make_engine(size=(12, 16), *, gpu=GPU, weight=0.75, tensors=None, **behaviour) -> bytes:
    """``behaviour``: synchronizes, context_fails, refuses (each true to happen)."""
    shape = [1, 1, *size]
    planes = [("visible", "INPUT"), ("infrared", "INPUT"), ("fused", "OUTPUT")]
    if tensors is None:
        tensors = [[name, mode, "UINT8", "DEVICE", shape] for name, mode in planes]
    return json.dumps({"gpu": gpu, "weight": weight, "tensors": tensors, **behaviour}).encode()


def make_tensorrt(cuda, version="10.3.0") -> SimpleNamespace:
    """The module: what TensorrtSession uses of it."""
    severity = Enum("Severity", ["INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"])

    class ILogger:
        Severity = severity

        def __init__(self):
            self.initialised = True

    class Runtime:
        def __init__(self, log):
            assert log.initialised, "pybind11 needs ILogger.__init__"
            self.log = log
            log.log(severity.INFO, "hello")
            if not cuda.gpus:
                log.log(severity.ERROR, "CUDA initialization failure with error: 100")

        def deserialize_cuda_engine(self, data):
            assert cuda.gpus, "the real one crashes here"
            try:
                facts = json.loads(data)
            except ValueError:
                self.log.log(severity.ERROR, "Magic tag does not match\n in the file")
                self.log.log(severity.ERROR, "a consequence of it")
                return None
            if facts["gpu"] != GPU:
                self.log.log(severity.ERROR, f"made for {facts['gpu']}")
                return None
            return Engine(self.log, facts)

    class Engine:
        device_memory_size_v2 = 3 << 20

        def __init__(self, log, facts):
            self.log, self.facts, self.tensors = log, facts, facts["tensors"]
            self.num_io_tensors = len(self.tensors)

        def _tensor(self, name):
            return next(tensor for tensor in self.tensors if tensor[0] == name)

        def get_tensor_name(self, index):
            return self.tensors[index][0]

        def get_tensor_mode(self, name):
            return modes[self._tensor(name)[1]]

        def get_tensor_dtype(self, name):
            return types[self._tensor(name)[2]]

        def get_tensor_location(self, name):
            return locations[self._tensor(name)[3]]

        def get_tensor_shape(self, name):
            return self._tensor(name)[4]

        def create_execution_context(self):
            if self.facts.get("context_fails"):
                self.log.log(severity.ERROR, "Requested size was 3145728 bytes")
                return None
            return Context(self)

    class Context:
        def __init__(self, engine):
            self.engine, self.addresses, self.stream = engine, {}, None
            self.scratch = cuda.cudaMalloc(SCRATCH_BYTES)[1]

        def __del__(self):
            if self.stream is not None and self.stream not in cuda.streams:
                cuda.complaints.append("a context outlives the stream it works in")
            cuda.cudaFree(self.scratch)

        def set_tensor_address(self, name, memory):
            if self.engine.facts.get("refuses") == name or memory % 256:
                self.engine.log.log(severity.ERROR, "address refused")
                return False
            self.addresses[name] = memory
            return True

        def execute_async_v3(self, stream_handle):
            facts = self.engine.facts
            if cuda.cudaGetLastError()[0]:  # takes anybody's failure for its own
                self.engine.log.log(severity.ERROR, "an error of an earlier call")
                return False
            if facts.get("synchronizes") or self.stream is None:  # the first time it sets up
                if cuda.cudaStreamSynchronize(stream_handle)[0]:
                    self.engine.log.log(severity.ERROR, "operation not permitted in a capture")
                    return False
                self.stream = stream_handle
            height, width = self.engine.get_tensor_shape("fused")[2:]
            size, at = height * width, dict(self.addresses)

            def run():
                visible, infrared = (
                    cuda.device.bytes_at(at[name], size).astype(float)
                    for name in ("visible", "infrared")
                )
                fused = np.round(facts["weight"] * visible + (1 - facts["weight"]) * infrared)
                cuda.device.bytes_at(at["fused"], size)[:] = fused

            kinds = [cuda.device.find(address).kind for address in at.values()]
            slow = 0 if cuda.integrated else kinds.count("mapped") * size / BUS_BYTES_PER_SECOND
            error = cuda.enqueue(
                stream_handle,
                "inference",
                [(at["visible"], size), (at["infrared"], size)],
                [(at["fused"], size), (self.scratch, SCRATCH_BYTES)],
                run,
                INFER_SECONDS + slow,
            )
            return not error

    modes = {"INPUT": "input", "OUTPUT": "output"}
    types = {"UINT8": "uint8", "FLOAT": "float"}
    locations = {"DEVICE": "device", "HOST": "host"}
    return SimpleNamespace(
        __version__=version,
        ILogger=ILogger,
        Runtime=Runtime,
        ICudaEngine=Engine,
        IExecutionContext=Context,
        TensorIOMode=SimpleNamespace(**modes),
        DataType=SimpleNamespace(**types),
        TensorLocation=SimpleNamespace(**locations),
    )
