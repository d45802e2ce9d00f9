// What the instruction sets offer to dispatch.cpp: the same function, compiled once for each.
#pragma once

#include "dynamic_filter_core.h"
#include "mgdn.h"
#include "window_attention_core.h"

namespace mgdn {

// Filters rows [first_row, last_row) of image n. Pointers are those of whole tensors.
template <class Scalar>
using FilterRows = void (*)(const FilterShape& shape, const Scalar* feature, const Scalar* kernel,
                            Scalar* out, int64_t n, int64_t first_row, int64_t last_row);

// Attends the windows of window row `row` of image n. Pointers are those of whole tensors.
using AttendRow = void (*)(const AttentionShape& shape, const float* qkv, const float* bias,
                           float* out, int64_t n, int64_t row);

// Runs tokens [first, last) of a layer.
using RunTokens = void (*)(const MgdnTokenLayer& layer, int64_t first, int64_t last);

// kernel_size 3, 5 and 7 at index kernel_size / 2 - 1.
struct TileKernels {
  FilterRows<float> float32[3];
  FilterRows<Half> float16[3];
  AttendRow attend[2];  // window 4 and 8
  RunTokens run_tokens;
};

extern const TileKernels baseline_tiles;
#ifdef MGDN_HAS_X86_TILES
extern const TileKernels avx2_tiles;
extern const TileKernels avx512_tiles;
#endif

// The kernels of a usable MgdnImplementation; nullptr for MGDN_CORE.
const TileKernels* find_kernels(int32_t implementation);

}  // namespace mgdn
