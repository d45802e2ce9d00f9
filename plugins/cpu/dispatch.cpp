// The C interface over the CPU kernels: checks the contract, picks the instruction set.
#include "contract.h"
#include "mgdn.h"
#include "tiles.h"

namespace {

using mgdn::FilterShape;
using mgdn::Half;

// Rows of a band, a multiple of the 2 and 3 rows the kernels take at a time. Its K - 1 extra rows of
// features come from a cache; fewer rows would read them too often, more would leave threads without
// work at the end.
int64_t band_rows(const MgdnDynamicFilter& filter) { return filter.height < 240 ? 12 : 24; }

const mgdn::TileKernels* find_tiles(int32_t implementation) {
  switch (implementation) {
    case MGDN_BASELINE:
      return &mgdn::baseline_tiles;
#ifdef MGDN_HAS_X86_TILES
    case MGDN_AVX2: {  // every processor with AVX2 and FMA has F16C
      const bool usable = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
      return usable ? &mgdn::avx2_tiles : nullptr;
    }
    case MGDN_AVX512: {
      const bool usable = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
      return usable ? &mgdn::avx512_tiles : nullptr;
    }
#endif
    default:
      return nullptr;
  }
}

int32_t check_filter(const MgdnDynamicFilter* filter) {
  const int32_t status = mgdn::check_contract(filter);
  if (status != MGDN_OK) {
    return status;
  }
  return mgdn_implementation_usable(filter->implementation) ? MGDN_OK : MGDN_UNSUPPORTED_CPU;
}

int64_t bands_per_image(const MgdnDynamicFilter& filter) {
  return (filter.height + band_rows(filter) - 1) / band_rows(filter);
}

template <class Scalar>
void filter_rows_slowly(const FilterShape& shape, const Scalar* feature, const Scalar* kernel,
                        Scalar* out, int64_t n, int64_t first_row, int64_t last_row) {
  for (int64_t c = 0; c < shape.channels; ++c) {
    for (int64_t y = first_row; y < last_row; ++y) {
      Scalar* row = out + ((n * shape.channels + c) * shape.height + y) * shape.width;
      for (int64_t x = 0; x < shape.width; ++x) {
        mgdn::store_scalar(row + x, mgdn::filter_pixel(shape, feature, kernel, n, c, y, x));
      }
    }
  }
}

template <class Scalar>
void run_bands(const MgdnDynamicFilter& filter, mgdn::FilterRows<Scalar> filter_rows,
               int64_t first, int64_t last) {
  const FilterShape shape = {filter.batch, filter.channels,    filter.height,
                             filter.width, filter.kernel_size, filter.upscale};
  const int64_t rows = band_rows(filter);
  for (int64_t band = first; band < last; ++band) {
    const int64_t n = band / bands_per_image(filter);
    const int64_t begin = band % bands_per_image(filter) * rows;
    const int64_t end = begin + rows < filter.height ? begin + rows : filter.height;
    filter_rows(shape, static_cast<const Scalar*>(filter.feature),
                static_cast<const Scalar*>(filter.kernel), static_cast<Scalar*>(filter.out), n,
                begin, end);
  }
}

}  // namespace

const mgdn::TileKernels* mgdn::find_kernels(int32_t implementation) {
  return find_tiles(implementation == MGDN_BEST ? mgdn_best_implementation() : implementation);
}

extern "C" {

int32_t mgdn_abi_version(void) { return MGDN_ABI_VERSION; }

const char* mgdn_cuda_architectures(void) {
#ifdef MGDN_CUDA_ARCHITECTURES
  return MGDN_CUDA_ARCHITECTURES;
#else
  return "";
#endif
}

const char* mgdn_status_text(int32_t status) {
  switch (status) {
    case MGDN_OK:
      return "no error";
    case MGDN_NULL_POINTER:
      return "feature, kernel or out is NULL; all three are needed";
    case MGDN_BAD_SHAPE:
      return "N, C, H and W must be at least 1, upscale must divide H and W, and the tensors "
             "must fit into 64-bit sizes";
    case MGDN_BAD_ATTRIBUTE:
      return "kernel_size must be 3, 5 or 7, upscale 1, 2 or 4, and storage float32 or float16";
    case MGDN_BAD_BANDS:
      return "bands lie outside what mgdn_dynamic_filter_bands gave";
    case MGDN_UNSUPPORTED_CPU:
      return "this machine or build lacks the implementation asked for; ask for MGDN_BEST";
    case MGDN_CUDA_FAILED:
      return "the CUDA runtime refused the launch; cudaGetLastError has the reason";
    default:
      return "unknown status";
  }
}

int32_t mgdn_best_implementation(void) {
  for (int32_t implementation = MGDN_AVX512; implementation > MGDN_BASELINE; --implementation) {
    if (find_tiles(implementation)) {
      return implementation;
    }
  }
  return MGDN_BASELINE;
}

int32_t mgdn_implementation_usable(int32_t implementation) {
  return implementation == MGDN_BEST || implementation == MGDN_CORE ||
         find_tiles(implementation) != nullptr;
}

int32_t mgdn_dynamic_filter_bands(const MgdnDynamicFilter* filter, int64_t* bands) {
  const int32_t status = bands ? check_filter(filter) : MGDN_NULL_POINTER;
  if (status == MGDN_OK) {
    *bands = filter->batch * bands_per_image(*filter);
  }
  return status;
}

int32_t mgdn_dynamic_filter_run(const MgdnDynamicFilter* filter, int64_t first, int64_t last) {
  int64_t bands = 0;
  const int32_t status = mgdn_dynamic_filter_bands(filter, &bands);
  if (status != MGDN_OK) {
    return status;
  }
  if (first < 0 || first > last || last > bands) {
    return MGDN_BAD_BANDS;
  }
  const mgdn::TileKernels* tiles = mgdn::find_kernels(filter->implementation);
  const int32_t index = filter->kernel_size / 2 - 1;
  if (filter->storage == MGDN_FLOAT32) {
    run_bands<float>(*filter, tiles ? tiles->float32[index] : filter_rows_slowly<float>, first,
                     last);
  } else {
    run_bands<Half>(*filter, tiles ? tiles->float16[index] : filter_rows_slowly<Half>, first, last);
  }
  return MGDN_OK;
}

}  // extern "C"
