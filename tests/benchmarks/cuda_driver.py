"""The few driver calls that tests and benchmarks need: memory, a stream, events, a captured graph.

Through ctypes, so that a GPU machine needs its driver and the native library, nothing else. The
native library's CUDA runtime uses the device's primary context, which is made current here.
"""

import ctypes
from contextlib import AbstractContextManager, ExitStack
from ctypes import byref, c_float, c_int, c_size_t, c_uint64, c_void_p

import numpy as np

from mgdn_edge.plugins.native import _STORAGES, _Filter, load_library


class Device(AbstractContextManager):
    """The first GPU. Owns what it allocates until it is closed."""

    def __init__(self):
        self._driver = ctypes.CDLL("libcuda.so.1")
        self._closing = ExitStack()
        self._call("cuInit", 0)
        self._device = c_int()
        self._call("cuDeviceGet", byref(self._device), 0)
        context = c_void_p()
        self._call("cuDevicePrimaryCtxRetain", byref(context), self._device)
        self._closing.callback(self._call, "cuDevicePrimaryCtxRelease_v2", self._device)
        self._call("cuCtxSetCurrent", context)
        self.stream = c_void_p()
        non_blocking = 1
        self._call("cuStreamCreate", byref(self.stream), non_blocking)
        self._closing.callback(self._call, "cuStreamDestroy_v2", self.stream)
        library = load_library()
        self._enqueue = library.mgdn_dynamic_filter_enqueue
        self._enqueue.argtypes = (ctypes.POINTER(_Filter), c_void_p)

    def __exit__(self, *_):
        self._closing.close()

    def name(self):
        text = ctypes.create_string_buffer(128)
        self._call("cuDeviceGetName", text, len(text), self._device)
        return text.value.decode()

    def allocate(self, byte_count):
        """The address of device memory."""
        address = c_uint64()
        self._call("cuMemAlloc_v2", byref(address), c_size_t(byte_count))
        self._closing.callback(self._call, "cuMemFree_v2", address)
        return address.value

    def upload(self, array, offset=0):
        """The address of a copy, ``offset`` bytes behind one that suits every access."""
        address = self.allocate(array.nbytes + offset) + offset
        arguments = c_uint64(address), c_void_p(array.ctypes.data), c_size_t(array.nbytes)
        self._call("cuMemcpyHtoD_v2", *arguments)
        self._call("cuCtxSynchronize")  # our stream does not wait for the default one
        return address

    def download(self, address, like):
        array = np.empty_like(like)
        arguments = c_void_p(array.ctypes.data), c_uint64(address), c_size_t(array.nbytes)
        self._call("cuMemcpyDtoH_v2", *arguments)
        return array

    def filter(self, feature, kernel, out, shape, dtype, kernel_size, upscale):
        """Enqueue DynamicFilter on addresses; the MgdnStatus."""
        storage = _STORAGES.index(np.dtype(dtype))
        filter_ = _Filter(feature, kernel, out, *shape, kernel_size, upscale, storage, 0)
        return self._enqueue(filter_, self.stream)

    def copy(self, to, source, byte_count):
        """Enqueue a copy inside the device."""
        arguments = c_uint64(to), c_uint64(source), c_size_t(byte_count), self.stream
        self._call("cuMemcpyDtoDAsync_v2", *arguments)

    def synchronize(self):
        self._call("cuStreamSynchronize", self.stream)

    def milliseconds(self, work, repeats):
        """Of one ``work()`` enqueued ``repeats`` times between two events."""
        events = [c_void_p(), c_void_p()]
        for event in events:
            self._call("cuEventCreate", byref(event), 0)
            self._closing.callback(self._call, "cuEventDestroy_v2", event)
        self._call("cuEventRecord", events[0], self.stream)
        for _ in range(repeats):
            work()
        self._call("cuEventRecord", events[1], self.stream)
        self._call("cuEventSynchronize", events[1])
        elapsed = c_float()
        self._call("cuEventElapsedTime", byref(elapsed), *events)
        return elapsed.value / repeats

    def run_captured(self, work):
        """Capture ``work()`` into a graph and run it once; fails where work may not be captured."""
        graph, ready = c_void_p(), c_void_p()
        thread_local = 1
        self._call("cuStreamBeginCapture_v2", self.stream, thread_local)
        work()
        self._call("cuStreamEndCapture", self.stream, byref(graph))
        self._closing.callback(self._call, "cuGraphDestroy", graph)
        self._call("cuGraphInstantiateWithFlags", byref(ready), graph, c_uint64(0))
        self._closing.callback(self._call, "cuGraphExecDestroy", ready)
        self._call("cuGraphLaunch", ready, self.stream)
        self.synchronize()

    def _call(self, name, *arguments):
        status = getattr(self._driver, name)(*arguments)
        if status:
            raise RuntimeError(f"{name} gave CUresult {status}")
