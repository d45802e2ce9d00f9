// The slice of CUDA that plugins/cuda uses, for a host compiler: the very kernel source then runs
// on a CPU. A block's threads are fibers (fibers.cpp), each running alone until it must wait;
// blocks run one after the other. Stands in for the toolkit's header by its place in the include
// path.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define __host__
#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static  // one block runs at a time, its threads share what is static

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(8) uint2 {
  uint32_t x, y;
};
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};

typedef struct HostStream* cudaStream_t;
enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorLaunchFailure = 719,
};

extern dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace cuda_on_host {

enum Wait { AT_BLOCK, AT_WARP };

// The running thread waits until its block or warp is here, at the barrier of this line.
void wait(Wait kind, int line);

// Runs `kernel(argument)` for every thread of the grid. Threads of a block (or warp) that wait at
// different barriers, or for one that has returned, are a cudaErrorLaunchFailure; so
// is an asynchronous copy between addresses that are no multiple of its size.
cudaError_t run_grid(dim3 grid, dim3 block, void (*kernel)(void*), void* argument);

}  // namespace cuda_on_host

#define __syncthreads() cuda_on_host::wait(cuda_on_host::AT_BLOCK, __LINE__)
#define __syncwarp() cuda_on_host::wait(cuda_on_host::AT_WARP, __LINE__)

template <class T>
T __ldcs(const T* from) {
  return *from;
}

template <class T>
void __stcs(T* to, T value) {
  *to = value;
}

// A kernel of one argument, as ours are. Limits of the grid are those of every device.
template <class Argument>
cudaError_t cudaLaunchKernel(void (*kernel)(Argument), dim3 grid, dim3 block, void** arguments,
                             size_t, cudaStream_t) {
  struct Call {
    void (*kernel)(Argument);
    void** arguments;
  } call = {kernel, arguments};
  if (!grid.x || !grid.y || !grid.z || grid.x > 0x7FFFFFFFu || grid.y > 65535 || grid.z > 65535) {
    return cudaErrorInvalidConfiguration;
  }
  const auto invoke = [](void* at) {
    const Call& made = *static_cast<Call*>(at);
    made.kernel(*static_cast<Argument*>(made.arguments[0]));
  };
  return cuda_on_host::run_grid(grid, block, invoke, &call);
}
