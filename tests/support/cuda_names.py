"""CUDA's enumerations as far as ours are used, with the values of driver_types.h."""

from enum import IntEnum

cudaError_t = IntEnum(
    "cudaError_t",
    {
        "cudaSuccess": 0,
        "cudaErrorInvalidValue": 1,
        "cudaErrorMemoryAllocation": 2,
        "cudaErrorInsufficientDriver": 35,
        "cudaErrorNoDevice": 100,
        "cudaErrorInvalidDevice": 101,
        "cudaErrorInvalidResourceHandle": 400,
        "cudaErrorIllegalAddress": 700,
        "cudaErrorLaunchFailure": 719,
        "cudaErrorStreamCaptureUnsupported": 900,
        "cudaErrorStreamCaptureInvalidated": 901,
    },
)
cudaMemcpyKind = IntEnum(
    "cudaMemcpyKind", {"cudaMemcpyHostToDevice": 1, "cudaMemcpyDeviceToHost": 2}
)
cudaStreamCaptureMode = IntEnum("cudaStreamCaptureMode", {"cudaStreamCaptureModeThreadLocal": 1})
cudaDeviceAttr = IntEnum(
    "cudaDeviceAttr",
    {
        "cudaDevAttrIntegrated": 18,
        "cudaDevAttrCanMapHostMemory": 19,
        "cudaDevAttrComputeCapabilityMajor": 75,
        "cudaDevAttrComputeCapabilityMinor": 76,
    },
)
cudaMemoryType = IntEnum(
    "cudaMemoryType",
    {
        "cudaMemoryTypeUnregistered": 0,
        "cudaMemoryTypeHost": 1,
        "cudaMemoryTypeDevice": 2,
        "cudaMemoryTypeManaged": 3,
    },
)
