/* The C interface of the native library: DynamicFilter, WindowAttention and the layers around
 * attention on CPUs. Its CUDA function, where it was built, is declared in
 * cuda/dynamic_filter_cuda.h.
 *
 * Every function returns an MgdnStatus unless said, never throws, allocates nothing, starts no
 * thread, keeps no state, and may be called from any thread. The work is cut into bands the
 * caller runs on threads of its own, so that no second pool competes with the caller's.
 */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MGDN_EXPORT __attribute__((visibility("default")))

/* Raised when a struct or a function below changes; plugins/native.py refuses any other. */
#define MGDN_ABI_VERSION 3

typedef enum MgdnStatus {
  MGDN_OK = 0,
  MGDN_NULL_POINTER = 1,     /* the filter or one of its tensors is NULL */
  MGDN_BAD_SHAPE = 2,        /* a size below 1, an upscale that does not divide it, or too large */
  MGDN_BAD_ATTRIBUTE = 3,    /* kernel_size, upscale, storage or implementation out of range */
  MGDN_BAD_BANDS = 4,        /* bands outside [0, number of bands) */
  MGDN_UNSUPPORTED_CPU = 5,  /* this machine or build lacks the implementation asked for */
  MGDN_CUDA_FAILED = 6,      /* the CUDA runtime refused the launch */
} MgdnStatus;

typedef enum MgdnStorage {
  MGDN_FLOAT32 = 0,
  MGDN_FLOAT16 = 1, /* IEEE binary16; sums run in float32 */
} MgdnStorage;

typedef enum MgdnImplementation {
  MGDN_BEST = 0,     /* the widest below that this machine has */
  MGDN_CORE = 1,     /* pixel by pixel, the specification of the others: about 100 times slower */
  MGDN_BASELINE = 2, /* 128-bit vectors: SSE2 on x86-64, NEON on aarch64 */
  MGDN_AVX2 = 3,     /* AVX2, FMA and F16C */
  MGDN_AVX512 = 4,   /* AVX-512 F, BW, DQ and VL */
} MgdnImplementation;

/* One call of the operation. The caller owns all memory and keeps it until the last band is run.
 *
 * feature  (N, C, H, W), dense, aligned to its element; read only.
 * kernel   (N, K*K, H / s, W / s), dense, aligned to its element; read only.
 * out      (N, C, H, W), dense, aligned to its element; overlaps neither input.
 * N, C, H, W >= 1; kernel_size K in {3, 5, 7}; upscale s in {1, 2, 4} divides H and W.
 * storage is that of all three tensors (MgdnStorage); implementation an MgdnImplementation.
 */
typedef struct MgdnDynamicFilter {
  const void* feature;
  const void* kernel;
  void* out;
  int64_t batch;
  int64_t channels;
  int64_t height;
  int64_t width;
  int32_t kernel_size;
  int32_t upscale;
  int32_t storage;
  int32_t implementation;
} MgdnDynamicFilter;

/* MGDN_ABI_VERSION of the library, not a status. */
MGDN_EXPORT int32_t mgdn_abi_version(void);

/* A sentence for an MgdnStatus; static memory. */
MGDN_EXPORT const char* mgdn_status_text(int32_t status);

/* 1 if `implementation` can run here, else 0; not a status. */
MGDN_EXPORT int32_t mgdn_implementation_usable(int32_t implementation);

/* What MGDN_BEST means here, an MgdnImplementation; not a status. */
MGDN_EXPORT int32_t mgdn_best_implementation(void);

/* The CUDA architectures this library was built for, as CMake names them: "87-real,110-real", or
 * "75-virtual", PTX that a driver compiles for any newer GPU. "" without CUDA; static memory. */
MGDN_EXPORT const char* mgdn_cuda_architectures(void);

/* Check the whole contract above except the memory; bands: where to write their number, >= 1. */
MGDN_EXPORT int32_t mgdn_dynamic_filter_bands(const MgdnDynamicFilter* filter, int64_t* bands);

/* Run bands [first, last). Bands write disjoint parts of `out` and may run in any order and at
 * the same time; each uses less than 96 KiB of stack. */
MGDN_EXPORT int32_t mgdn_dynamic_filter_run(const MgdnDynamicFilter* filter, int64_t first,
                                            int64_t last);

/* Attention in windows of one image size; window_attention_core.h has the formula. The caller owns
 * all memory and keeps it until the last band is run.
 *
 * qkv    (N, H, W, 3, heads, d) float32, dense: queries, keys, values of every pixel; read only.
 * bias   (heads, T, T) float32, dense, T = window * window, the key's index before the query's,
 *        added to the logits; read only.
 * out    (N, H, W, heads, d) float32, dense; overlaps neither input.
 * N, H, W, heads >= 1; d in [1, 64]; window 4 or 8 divides H and W; shift in [0, window).
 * implementation is an MgdnImplementation.
 */
typedef struct MgdnWindowAttention {
  const float* qkv;
  const float* bias;
  float* out;
  int64_t batch;
  int64_t height;
  int64_t width;
  int32_t heads;
  int32_t head_size;
  int32_t window;
  int32_t shift;
  int32_t implementation;
} MgdnWindowAttention;

/* Check the whole contract above except the memory; bands: where to write their number, >= 1. */
MGDN_EXPORT int32_t mgdn_window_attention_bands(const MgdnWindowAttention* attention,
                                                int64_t* bands);

/* As mgdn_dynamic_filter_run: bands in any order, at the same time, less than 96 KiB of stack. */
MGDN_EXPORT int32_t mgdn_window_attention_run(const MgdnWindowAttention* attention, int64_t first,
                                              int64_t last);

/* NormalizedLinear, or ResidualMlp where `a` is not NULL; plugins/token_layers.py has the formulas.
 * T tokens of C values. The caller owns all memory and keeps it until the last band is run.
 *
 * x        (T, C) float32, dense, as everything here; read only.
 * scale, shift  (C), of the layer norm; read only.
 * weight1, bias1  (C, M), (M); read only.
 * weight2, bias2  (M, C), (C); read only; NormalizedLinear: NULL.
 * a        (T, C), what attention has found; read only; NormalizedLinear: NULL.
 * weight0, bias0  (C, C), (C); read only; NormalizedLinear: NULL.
 * normed   (T, C), the result of the layer norm; ResidualMlp: NULL.
 * out      (T, M); ResidualMlp: (T, C). normed and out overlap nothing.
 * T >= 1; C in [1, 64]; M in [1, 256]. implementation is an MgdnImplementation.
 */
typedef struct MgdnTokenLayer {
  const float* x;
  const float* scale;
  const float* shift;
  const float* weight1;
  const float* bias1;
  const float* weight2;
  const float* bias2;
  const float* a;
  const float* weight0;
  const float* bias0;
  float* normed;
  float* out;
  int64_t tokens;
  int32_t channels;
  int32_t hidden;
  int32_t implementation;
} MgdnTokenLayer;

/* Check the whole contract above except the memory; bands: where to write their number, >= 1. */
MGDN_EXPORT int32_t mgdn_token_layer_bands(const MgdnTokenLayer* layer, int64_t* bands);

/* As mgdn_dynamic_filter_run: bands in any order, at the same time, less than 192 KiB of stack. */
MGDN_EXPORT int32_t mgdn_token_layer_run(const MgdnTokenLayer* layer, int64_t first, int64_t last);

#ifdef __cplusplus
}
#endif
