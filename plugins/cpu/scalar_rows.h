// Rows of stored scalars to rows of floats and back, with what the instruction set offers.
#pragma once

#include "dynamic_filter_core.h"

#ifdef __F16C__
#include <immintrin.h>
#endif

namespace {

using mgdn::Half;

inline void read_row(const float* from, float* to, int64_t count) {
  memcpy(to, from, size_t(count) * sizeof *to);
}

inline void write_row(const float* from, float* to, int64_t count) {
  memcpy(to, from, size_t(count) * sizeof *to);
}

inline void read_row(const Half* from, float* to, int64_t count) {
  int64_t i = 0;
#ifdef __F16C__
  for (; i + 8 <= count; i += 8) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(halves));
  }
#elif defined(__aarch64__)
  for (; i < count; ++i) {
    __fp16 half;
    memcpy(&half, from + i, sizeof half);
    to[i] = half;
  }
#endif
  for (; i < count; ++i) {
    to[i] = mgdn::load_scalar(from + i);
  }
}

inline void write_row(const float* from, Half* to, int64_t count) {
  int64_t i = 0;
#ifdef __F16C__
  for (; i + 8 <= count; i += 8) {
    const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), halves);
  }
#elif defined(__aarch64__)
  for (; i < count; ++i) {
    const __fp16 half = __fp16(from[i]);
    memcpy(to + i, &half, sizeof half);
  }
#endif
  for (; i < count; ++i) {
    mgdn::store_scalar(to + i, from[i]);
  }
}

}  // namespace
