/* The one function between the CUDA kernel and its hosts (ONNX Runtime's CUDA provider, the
 * TensorRT plugin, a harness). The hosts do no arithmetic; the kernel knows none of them.
 */
#pragma once

#include "mgdn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Enqueue one call of the operation on `stream`, a cudaStream_t of the current device, and
 * return: nothing is allocated, copied or synchronised, so the call may be captured into a CUDA
 * graph.
 *
 * filter   as in mgdn.h, with device pointers and `implementation` MGDN_BEST. Pointers aligned to
 *          their element are enough; 16 bytes are faster. The struct is read before returning.
 *          The width is at most 2^25.
 * returns  MGDN_OK, a status of the contract of mgdn.h, or MGDN_CUDA_FAILED with the launch's
 *          cudaError_t left for cudaGetLastError.
 */
MGDN_EXPORT int32_t mgdn_dynamic_filter_enqueue(const MgdnDynamicFilter* filter, void* stream);

#ifdef __cplusplus
}
#endif
