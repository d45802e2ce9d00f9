"""ONNX Runtime with its CPU provider in the CUDA provider's place, in the CUDA stand-in's streams.

The graph, the bindings and the arithmetic are the real ones; only "cuda" becomes "cpu" where a
device is named, and a run happens when the stand-in's stream comes to it.
"""

from types import SimpleNamespace

import numpy as np
import onnxruntime

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
RUN_SECONDS = 1e-3


class Binding:
    def __init__(self, real):
        self.real, self.reads, self.writes = real, [], []

    def bind_input(self, name, device_type, device_id, element_type, shape, address):
        self._bind(self.real.bind_input, self.reads, name, device_type, shape, address)

    def bind_output(self, name, device_type, device_id, element_type, shape, address):
        self._bind(self.real.bind_output, self.writes, name, device_type, shape, address)

    @staticmethod
    def _bind(bind, ranges, name, device_type, shape, address):
        assert device_type == "cuda"
        ranges.append((address, int(np.prod(shape))))
        bind(name, "cpu", 0, np.uint8, shape, address)


class Session:
    """``onnxruntime.InferenceSession`` that says it runs on CUDA, unless ``starts`` is false."""

    def __init__(self, cuda, starts, model, options, providers):
        (name, provider), cpu = providers
        assert (name, cpu) == (CUDA, CPU)
        self.cuda, self.starts, self.provider = cuda, starts, provider
        self.real = onnxruntime.InferenceSession(model, options, providers=[CPU])
        self.runs = 0

    def __getattr__(self, name):
        return getattr(self.real, name)

    def disable_fallback(self):
        self.real.disable_fallback()

    def get_providers(self):
        return [CUDA, CPU] if self.starts else [CPU]

    def io_binding(self):
        return Binding(self.real.io_binding())

    def run_with_iobinding(self, binding, options):
        key = "disable_synchronize_execution_providers"
        assert options.get_run_config_entry(key) == "1"
        self.runs += 1
        self.cuda.enqueue(
            int(self.provider["user_compute_stream"]),
            "a run",
            binding.reads,
            binding.writes,
            lambda: self.real.run_with_iobinding(binding.real),
            RUN_SECONDS,
        )


def make_onnxruntime(cuda, *, starts=True, providers=(CUDA, CPU)) -> SimpleNamespace:
    """The module as OnnxRuntimeCudaSession uses it; ``made`` collects its sessions."""
    made = []

    def open_session(model, options, providers):
        made.append(Session(cuda, starts, model, options, providers))
        return made[-1]

    return SimpleNamespace(
        __version__=onnxruntime.__version__,
        __spec__=onnxruntime.__spec__,  # torch looks for it
        SessionOptions=onnxruntime.SessionOptions,
        RunOptions=onnxruntime.RunOptions,
        InferenceSession=open_session,
        get_available_providers=lambda: list(providers),
        capi=onnxruntime.capi,
        made=made,
    )
