// The contract of one call (mgdn.h), checked in the same words before every native kernel.
#pragma once

#include "mgdn.h"

namespace mgdn {

// True if the byte size of (N, max(C, K*K), H, W) float32 does not fit.
inline bool too_large(const MgdnDynamicFilter& filter) {
  const int64_t taps = int64_t(filter.kernel_size) * filter.kernel_size;
  int64_t size = filter.channels > taps ? filter.channels : taps;
  return __builtin_mul_overflow(size, filter.batch, &size) ||
         __builtin_mul_overflow(size, filter.height, &size) ||
         __builtin_mul_overflow(size, filter.width, &size) ||
         __builtin_mul_overflow(size, int64_t(sizeof(float)), &size);
}

// An MgdnStatus: everything but the memory and whether `implementation` runs on this machine.
inline int32_t check_contract(const MgdnDynamicFilter* filter) {
  if (!filter) {
    return MGDN_NULL_POINTER;
  }
  const int32_t size = filter->kernel_size;
  const int32_t upscale = filter->upscale;
  if ((size != 3 && size != 5 && size != 7) || (upscale != 1 && upscale != 2 && upscale != 4) ||
      (filter->storage != MGDN_FLOAT32 && filter->storage != MGDN_FLOAT16) ||
      filter->implementation < MGDN_BEST || filter->implementation > MGDN_AVX512) {
    return MGDN_BAD_ATTRIBUTE;
  }
  if (filter->batch < 1 || filter->channels < 1 || filter->height < 1 || filter->width < 1 ||
      filter->height % upscale || filter->width % upscale || too_large(*filter)) {
    return MGDN_BAD_SHAPE;
  }
  // After shapes: empty tensors are NULL.
  if (!filter->feature || !filter->kernel || !filter->out) {
    return MGDN_NULL_POINTER;
  }
  return MGDN_OK;
}

}  // namespace mgdn
