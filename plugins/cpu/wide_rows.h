// DynamicFilter with kernels of full size on AVX-512. Included by tiles_avx512.cpp only.
//
// tile_kernel.h copies a tile's weights before it uses them, which costs as much as the products
// once these run at 512 bits. Here weights go from memory to registers, once, whatever C is:
// for 16 pixels of DOWN output rows and one row of features, the DOWN x K weights that meet in that
// row are loaded, and every channel is run past them. What a channel has summed waits in the
// nearest cache between feature rows.
// - A row of features is read as two vectors and shifted in registers: of seven unaligned loads six
//   touch two cache lines, and each of those costs a cycle.
// - Of a K x K x H x W kernel every plane is a stream of its own, more than a processor foresees by
//   itself: weights are prefetched AHEAD vectors along the row, features by the next cache line.
// - Large results pass the caches by (they would evict what is read next and are read from memory
//   anyway); otherwise each line of them would first be read.
// Figures for each of these choices: docs/LOG.md.
#pragma once

#include <immintrin.h>

#include "tile_kernel.h"

namespace {

constexpr int WIDE = 16;      // pixels of a vector
constexpr int DOWN = 3;       // output rows: 3 x 7 weights, 3 sums, 2 features in 32 registers
constexpr int AHEAD = 2;      // vectors
constexpr int CHANNELS = 32;  // channels whose sums wait at a time
constexpr __mmask16 ALL = 0xFFFF;
// K + DOWN - 1 rows of all channels are read again DOWN rows further down. A strip this large is
// still found in a second-level cache of 2 MiB; narrower ones break the runs of weights more often.
constexpr int64_t STRIP_BYTES = 3 << 19;
constexpr int64_t STREAM_BYTES = 4 << 20;  // of a result that no second-level cache holds

inline __m512 read_wide(const float* from, __mmask16 lanes) {
  return _mm512_maskz_loadu_ps(lanes, from);
}

inline __m512 read_wide(const Half* from, __mmask16 lanes) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lanes, from));
}

inline void write_wide(float* to, __m512 value, __mmask16 lanes, bool stream) {
  if (stream && lanes == ALL) {
    _mm512_stream_ps(to, value);
  } else {
    _mm512_mask_storeu_ps(to, lanes, value);
  }
}

inline void write_wide(Half* to, __m512 value, __mmask16 lanes, bool) {
  _mm256_mask_storeu_epi16(to, lanes, _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
}

inline __mmask16 first_lanes(int64_t count) {
  return count >= WIDE ? ALL : __mmask16(count > 0 ? (1 << count) - 1 : 0);
}

// 16 columns of pixels and the 32 columns of features from K / 2 left of them. At a border these
// are picked, some repeatedly, from the 32 columns at `base` that lie in the image.
struct Columns {
  int64_t base;
  __mmask16 pixels;  // that are computed
  bool at_border;
  __mmask16 inside[2];
  __m512i picks[2];
};

// The columns [x, end) of an image, at most 16.
template <int K>
Columns place_columns(int64_t x, int64_t end, int64_t width) {
  const int64_t first = x - K / 2;
  Columns at = {first, first_lanes(end - x), false, {ALL, ALL}, {}};
  if (first >= 0 && first + 2 * WIDE <= width) {
    return at;
  }
  at.at_border = true;
  const int64_t last = width > 2 * WIDE ? width - 2 * WIDE : 0;
  at.base = first < 0 ? 0 : first < last ? first : last;
  alignas(64) int32_t picks[2 * WIDE];
  for (int lane = 0; lane < 2 * WIDE; ++lane) {
    // Lanes beyond K / 2 right of the last pixel are never used; they may pick anything.
    const int64_t pick = mgdn::clamp_index(first + lane, width) - at.base;
    picks[lane] = int32_t(pick < 2 * WIDE ? pick : 2 * WIDE - 1);
  }
  for (int half = 0; half < 2; ++half) {
    at.inside[half] = first_lanes(width - at.base - half * WIDE);
    at.picks[half] = _mm512_load_si512(picks + half * WIDE);
  }
  return at;
}

template <bool AT_BORDER, class Scalar>
inline void read_features(const Scalar* row, const Columns& at, __m512 (&features)[2]) {
  const __m512 left = read_wide(row + at.base, at.inside[0]);
  const __m512 right = read_wide(row + at.base + WIDE, at.inside[1]);
  features[0] = AT_BORDER ? _mm512_permutex2var_ps(left, at.picks[0], right) : left;
  features[1] = AT_BORDER ? _mm512_permutex2var_ps(left, at.picks[1], right) : right;
}

// What one step computes: 16 columns, DOWN rows, up to CHANNELS channels.
template <int K, class Scalar>
struct Step {
  Columns at;
  const Scalar* kernel[DOWN];  // first tap's row of each output row
  int64_t plane;               // pixels of a plane, of the kernel and of a channel
  const Scalar* feature;       // first channel
  int64_t rows[K + DOWN - 1];  // where each feature row begins in a channel's plane
  Scalar* out;                 // first channel, first row, first column
  int64_t width;
  int channels;
  int rows_stored;  // fewer than DOWN at the end of a band
  bool stream;      // out bypasses the caches; lead: columns before its first whole cache line
  int64_t lead;
  float* sums;  // CHANNELS x DOWN vectors
};

// Tap column D of every output row in [FIRST, END).
template <int K, int D, int FIRST, int END>
struct TapColumns {
  static inline void add(const __m512 (&features)[2], const __m512 (&weights)[DOWN][K],
                         __m512 (&sums)[DOWN]) {
    TapColumns<K, D - 1, FIRST, END>::add(features, weights, sums);
    const __m512 shifted = _mm512_castsi512_ps(_mm512_alignr_epi32(
        _mm512_castps_si512(features[1]), _mm512_castps_si512(features[0]), D));
    MGDN_UNROLL for (int r = FIRST; r < END; ++r) {
      sums[r] = _mm512_fmadd_ps(weights[r][D], shifted, sums[r]);
    }
  }
};

template <int K, int FIRST, int END>
struct TapColumns<K, -1, FIRST, END> {
  static inline void add(const __m512 (&)[2], const __m512 (&)[DOWN][K], __m512 (&)[DOWN]) {}
};

// Feature row I meets tap row I - r of output row r.
template <int K, int I, bool AT_BORDER, class Scalar>
inline void add_feature_row(const Step<K, Scalar>& step) {
  constexpr int FIRST = I - (K - 1) > 0 ? I - (K - 1) : 0;
  constexpr int END = I + 1 < DOWN ? I + 1 : DOWN;
  __m512 weights[DOWN][K];
  MGDN_UNROLL for (int r = FIRST; r < END; ++r) {
    MGDN_UNROLL for (int d = 0; d < K; ++d) {
      const Scalar* from = step.kernel[r] + ((I - r) * K + d) * step.plane;
      weights[r][d] = read_wide(from, step.at.pixels);
      _mm_prefetch(reinterpret_cast<const char*>(from + AHEAD * WIDE), _MM_HINT_T0);
    }
  }
  const Scalar* row = step.feature + step.rows[I];
  float* waiting = step.sums;
  for (int c = 0; c < step.channels; ++c) {
    __m512 sums[DOWN];
    MGDN_UNROLL for (int r = FIRST; r < END; ++r) {
      sums[r] = I == r ? _mm512_setzero_ps() : _mm512_load_ps(waiting + r * WIDE);
    }
    _mm_prefetch(reinterpret_cast<const char*>(row + step.at.base + 3 * WIDE), _MM_HINT_T0);
    __m512 features[2];
    read_features<AT_BORDER>(row, step.at, features);
    TapColumns<K, K - 1, FIRST, END>::add(features, weights, sums);
    MGDN_UNROLL for (int r = FIRST; r < END; ++r) {
      if (I - r < K - 1) {
        _mm512_store_ps(waiting + r * WIDE, sums[r]);
      } else if (r < step.rows_stored) {
        write_wide(step.out + c * step.plane + r * step.width, sums[r], step.at.pixels,
                   step.stream);
      }
    }
    row += step.plane;
    waiting += DOWN * WIDE;
  }
}

template <int K, int I, bool AT_BORDER, class Scalar>
struct FeatureRows {
  static inline void add(const Step<K, Scalar>& step) {
    FeatureRows<K, I - 1, AT_BORDER, Scalar>::add(step);
    add_feature_row<K, I, AT_BORDER>(step);
  }
};

template <int K, bool AT_BORDER, class Scalar>
struct FeatureRows<K, -1, AT_BORDER, Scalar> {
  static inline void add(const Step<K, Scalar>&) {}
};

// Columns [first, last) of rows [y, y + DOWN), all channels.
template <int K, class Scalar>
void filter_strip(Step<K, Scalar>& step, const FilterShape& shape, const Scalar* feature,
                  const Scalar* kernel, Scalar* out, int64_t y, int64_t first, int64_t last) {
  constexpr int LAST_ROW = K + DOWN - 2;
  // 60 channels are 30 + 30, not 32 + 28.
  const int64_t groups = (shape.channels + CHANNELS - 1) / CHANNELS;
  int64_t end = 0;
  for (int64_t x = first; x < last; x = end) {
    end = x < step.lead ? step.lead : x + WIDE < last ? x + WIDE : last;
    step.at = place_columns<K>(x, end, shape.width);
    for (int r = 0; r < DOWN; ++r) {  // rows beyond the last are computed but not stored
      step.kernel[r] = kernel + (r < step.rows_stored ? y + r : y) * shape.width + x;
    }
    for (int64_t group = 0; group < groups; ++group) {
      const int64_t begin = group * shape.channels / groups;
      step.channels = int((group + 1) * shape.channels / groups - begin);
      step.feature = feature + begin * step.plane;
      step.out = out + begin * step.plane + y * shape.width + x;
      if (step.at.at_border) {
        FeatureRows<K, LAST_ROW, true, Scalar>::add(step);
      } else {
        FeatureRows<K, LAST_ROW, false, Scalar>::add(step);
      }
    }
  }
}

template <int K, class Scalar>
void filter_rows_wide(const FilterShape& shape, const Scalar* feature, const Scalar* kernel,
                      Scalar* out, int64_t n, int64_t first_row, int64_t last_row) {
  if (shape.upscale > 1) {
    filter_rows<K>(shape, feature, kernel, out, n, first_row, last_row);
    return;
  }
  alignas(64) float sums[CHANNELS * DOWN * WIDE];
  Step<K, Scalar> step;
  step.sums = sums;
  step.plane = shape.height * shape.width;
  step.width = shape.width;
  const int64_t image = shape.channels * step.plane;
  // Only whole lines may bypass the caches, so all rows must begin at the same place of a line.
  step.stream = shape.width % WIDE == 0 && sizeof(Scalar) == sizeof(float) &&
                shape.batch * image * int64_t(sizeof(Scalar)) >= STREAM_BYTES;
  const int64_t beyond = int64_t(reinterpret_cast<uintptr_t>(out) % 64 / sizeof(Scalar));
  step.lead = step.stream ? (WIDE - beyond) % WIDE : 0;
  feature += n * image;
  out += n * image;
  kernel += n * K * K * step.plane;
  const int64_t column_bytes = (K + DOWN - 1) * shape.channels * int64_t(sizeof(Scalar));
  const int64_t strips = 1 + shape.width * column_bytes / STRIP_BYTES;
  const int64_t strip = (shape.width / strips + WIDE - 1) / WIDE * WIDE;
  int64_t end = 0;
  for (int64_t x = 0; x < shape.width; x = end) {
    end = x + strip + (x == 0 ? step.lead : 0);
    end = end < shape.width ? end : shape.width;
    for (int64_t y = first_row; y < last_row; y += DOWN) {
      step.rows_stored = last_row - y < DOWN ? int(last_row - y) : DOWN;
      for (int i = 0; i < K + DOWN - 1; ++i) {
        step.rows[i] = mgdn::clamp_index(y + i - K / 2, shape.height) * shape.width;
      }
      filter_strip<K>(step, shape, feature, kernel, out, y, x, end);
    }
  }
  if (step.stream) {
    _mm_sfence();  // streamed stores are ordered by nothing else
  }
}

}  // namespace
