"""An array of another library on the stand-in GPU."""

SIZE = (12, 16)
ABSENT = object()


class DeviceArray:
    """What CuPy, torch, numba and PyCUDA arrays have in common; ``changes`` to its interface."""

    def __init__(self, cuda, plane=None, size=SIZE, **changes):
        self.cuda, self.bytes = cuda, size[0] * size[1]
        self.address = cuda.cudaMalloc(self.bytes + 256)[1]
        self.interface = {
            "shape": size,
            "typestr": "|u1",
            "data": (self.address, False),
            "version": 3,
        }
        self.interface |= changes
        if plane is not None:
            self.host()[:] = plane.ravel()

    @property
    def __cuda_array_interface__(self):
        return {key: value for key, value in self.interface.items() if value is not ABSENT}

    def host(self):
        return self.cuda.device.bytes_at(self.address, self.bytes)
