"""How a call of the stand-in behaves, and the calls that only tell something."""

import functools
from types import SimpleNamespace

from support.cuda_names import cudaError_t
from support.stand_in_device import BrokenRuleError

STICKY = (cudaError_t.cudaErrorIllegalAddress, cudaError_t.cudaErrorLaunchFailure)
OK = cudaError_t.cudaSuccess


def call(values: int, *, loop: bool = False, capture: bool = False):
    """A CUDA call with ``values`` results; may it stand in the loop, may it in a capture?"""

    def decorate(function):
        @functools.wraps(function)
        def called(self, *arguments):
            self.calls.append(function.__name__)
            error = self.sticky or self._planned(function.__name__)
            if error in STICKY:
                self.sticky = error
            if not error and self._looping and not loop:
                raise BrokenRuleError(f"{function.__name__} in the loop")
            if not error and not capture and (stream := self._captured_here()):
                stream.capture_broken = True
                error = cudaError_t.cudaErrorStreamCaptureUnsupported
            if error:
                self.last_error = error
                return (error, *[None] * values)
            result = function(self, *arguments)
            if isinstance(result, cudaError_t):
                self.last_error = result
                return (result, *[None] * values)
            return (OK, *result) if isinstance(result, tuple) else (OK, result)[: 1 + values]

        called.values = values
        return called

    return decorate


class DeviceFacts:
    """Calls about the machine. What they tell is set by CudaStandIn."""

    @call(1)
    def cudaGetDeviceCount(self):
        if self.driver < 13000:
            return cudaError_t.cudaErrorInsufficientDriver
        return self.gpus if self.gpus else cudaError_t.cudaErrorNoDevice

    @call(0, loop=True, capture=True)
    def cudaSetDevice(self, device):
        self._thread.device = device

    @call(1, loop=True, capture=True)
    def cudaGetDevice(self):
        return self._current()

    @call(1)
    def cudaGetDeviceProperties(self, device):
        return SimpleNamespace(name=b"Stand-in" + bytes(8))

    @call(1)
    def cudaDeviceGetAttribute(self, attr, device):
        return {18: self.integrated, 19: self.maps, 75: 8, 76: 7}[attr]

    @call(1)
    def cudaDriverGetVersion(self):
        return self.driver

    @call(1)
    def cudaRuntimeGetVersion(self):
        return 13050

    @call(2, loop=True)
    def cudaMemGetInfo(self):
        return 100 << 20, 8 << 30

    def cudaGetLastError(self):
        last, self.last_error = self.last_error, OK
        return (self.sticky or last,)

    def cudaGetErrorName(self, error):
        return OK, error.name.encode()

    def cudaGetErrorString(self, error):
        return OK, f"text of {error.value}".encode()
