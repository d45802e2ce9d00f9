// The tiled, vectorised DynamicFilter. Included once by each tiles_*.cpp, which defines
// MGDN_VECTOR_BYTES and is compiled for that instruction set. Everything is in an unnamed
// namespace: a function shared between those files could run AVX on a machine without it.
//
// Rows are taken two at a time and cut into tiles of TileWidth pixels. Per tile:
// 1. load_weights: the K*K weights of each pixel, interpolated if need be, into a block that
//    stays in the nearest cache. Weights are read from memory once, whatever C is, and a
//    full-size interpolated kernel never exists. The block also keeps the K*K planes apart: with
//    sizes like 640x480 they lie a multiple of the page apart and would evict one another.
// 2. sum_taps: B channels and both rows together. A loaded weight serves B products and a loaded
//    feature two, one in each row; otherwise loads, not products, would set the time: those
//    of features are rarely aligned, and half of them touch two cache lines.
// Tiles at the border, beyond the row's end or stored as half are copied to floats with the
// border repeated, so sum_taps knows neither.
#pragma once

#include "scalar_rows.h"
#include "tiles.h"
#include "vectors.h"

namespace {

using mgdn::FilterShape;
using mgdn::Interpolation;

constexpr int ROWS = 2;  // output rows of a tile
// Six channels times two rows are twelve sums; with two weights and a feature, 16 registers.
constexpr int MAX_CHANNELS = 6;
template <int K>
constexpr int TileWidth = K == 7 ? 64 : 128;
// A row of features with the border on both sides, in whole cache lines.
template <int K>
constexpr int RowPitch = TileWidth<K> + 16;
// The weights of one row of a tile: pixel x of tap j at j * TileWidth + x.
template <int K>
constexpr int TileWeights = K * K * TileWidth<K>;

// Pixels [first, first + count) of a row of `size` -> floats, the border repeated.
template <class Scalar>
void copy_row(const Scalar* row, int64_t size, int64_t first, int64_t count, float* to) {
  const int64_t begin = first < 0 ? 0 : first;
  const int64_t end = first + count < size ? first + count : size;
  read_row(row + begin, to + (begin - first), end - begin);
  for (int64_t i = 0; i < begin - first; ++i) {
    to[i] = to[begin - first];
  }
  for (int64_t i = end - first; i < count; ++i) {
    to[i] = to[end - first - 1];
  }
}

// Weights at 1/S of the width -> one for each pixel. low[0] is the one left of the tile's first;
// pixel i lies between low[i / S + (i % S >= S / 2)] and its right neighbour.
template <int S>
inline void widen_row(const float* low, float* wide, int width) {
  LaneIndex left;
  Vector weight;
  for (int lane = 0; lane < LANES; ++lane) {
    left[lane] = lane / S + (lane % S >= S / 2);
    weight[lane] = float((2 * (lane % S) + 1 + S) % (2 * S)) / float(2 * S);
  }
  for (int x = 0; x < width; x += LANES) {
    const Vector from = load(low + x / S);
    store(wide + x, (1.0f - weight) * pick(from, left) + weight * pick(from, left + 1));
  }
}

// The last two rows of weights widened for the tile at hand: upscale s uses each for s rows.
template <int K>
struct WidenedRows {
  int64_t held[2];  // which row, -1 for none; row i is kept at i % 2
  float weights[2][TileWeights<K>];
};

// Row `row` of the low-resolution kernel under pixels [x, x + width), widened.
template <int K, class Scalar>
const float* find_widened(const FilterShape& shape, const Scalar* kernel, int64_t row, int64_t x,
                          int width, WidenedRows<K>& rows) {
  float* weights = rows.weights[row % 2];
  if (rows.held[row % 2] == row) {
    return weights;
  }
  rows.held[row % 2] = row;
  const int64_t upscale = shape.upscale;
  const int64_t low_width = shape.width / upscale;
  const int64_t plane = shape.height / upscale * low_width;
  // One weight before the tile, one behind it, and what a vector reads beyond those.
  float low[TileWidth<K> / 2 + 2 + LANES];
  for (int tap = 0; tap < K * K; ++tap) {
    copy_row(kernel + tap * plane + row * low_width, low_width, x / upscale - 1,
             width / upscale + 2 + LANES, low);
    if (upscale == 2) {
      widen_row<2>(low, weights + tap * TileWidth<K>, width);
    } else {
      widen_row<4>(low, weights + tap * TileWidth<K>, width);
    }
  }
  return weights;
}

// Ask for the weights this tile column needs ROWS rows on: K*K separate runs of a few cache lines
// are more than a processor foresees by itself.
template <class Scalar>
inline void prefetch_row(const Scalar* row, const FilterShape& shape, int64_t y, int64_t x,
                         int width) {
  constexpr int LINE = 64 / int(sizeof(Scalar));
  constexpr int FOR_READING = 0;
  constexpr int SECOND_LEVEL = 2;
  if (y + ROWS < shape.height) {
    const Scalar* next = row + ROWS * shape.width + x;
    for (int i = 0; i < width && x + i < shape.width; i += LINE) {
      __builtin_prefetch(next + i, FOR_READING, SECOND_LEVEL);
    }
  }
}

// The weights of pixels [x, x + width) of row y; `kernel` is image n's. Pixels beyond the row's end
// get its last weight: they are computed but never stored.
template <int K, class Scalar>
void load_weights(const FilterShape& shape, const Scalar* kernel, int64_t y, int64_t x, int width,
                  WidenedRows<K>& widened, float* weights) {
  if (shape.upscale == 1) {
    for (int tap = 0; tap < K * K; ++tap) {
      const Scalar* row = kernel + (tap * shape.height + y) * shape.width;
      prefetch_row(row, shape, y, x, width);
      copy_row(row, shape.width, x, width, weights + tap * TileWidth<K>);
    }
    return;
  }
  const Interpolation row =
      mgdn::interpolate_index(y, shape.height / shape.upscale, shape.upscale);
  const float* low = find_widened<K>(shape, kernel, row.low, x, width, widened);
  const float* high = find_widened<K>(shape, kernel, row.high, x, width, widened);
  for (int tap = 0; tap < K * K; ++tap) {
    for (int i = tap * TileWidth<K>; i < tap * TileWidth<K> + width; i += LANES) {
      store(weights + i, (1.0f - row.weight) * load(low + i) + row.weight * load(high + i));
    }
  }
}

// The features of up to MAX_CHANNELS channels under one tile, and where its results go.
template <int K>
struct TileRows {
  const float* features[MAX_CHANNELS][K + ROWS - 1];  // from K / 2 left of the tile's first pixel
  float* out[MAX_CHANNELS][ROWS];
};

// Vectors of pixels per step: enough independent sums to hide the latency of a multiply-add.
template <int B>
constexpr int Vectors = B == 1 ? 4 : B <= 3 ? 2 : 1;

// Without this GCC (12) reads the feature again for its second product, as a memory operand.
inline void keep_in_register(Vector& value) {
#if defined(__x86_64__)
  __asm__("" : "+v"(value));
#elif defined(__aarch64__)
  __asm__("" : "+w"(value));
#endif
}

// Adds the products of tap row `row` for the upper tile row, of tap row `row - 1` for the lower.
template <int K, int B, bool UPPER, bool LOWER>
inline void add_tap_row(const TileRows<K>& tile, int row, int x, const float* weights,
                        Vector (&sums)[ROWS][B][Vectors<B>]) {
  const float* upper = weights + row * K * TileWidth<K> + x;
  const float* lower = weights + TileWeights<K> + (row - 1) * K * TileWidth<K> + x;
  const float* features[B];
  MGDN_UNROLL for (int b = 0; b < B; ++b) { features[b] = tile.features[b][row] + x; }
  MGDN_UNROLL for (int dx = 0; dx < K; ++dx) {
    MGDN_UNROLL for (int u = 0; u < Vectors<B>; ++u) {
      const int at = dx * TileWidth<K> + u * LANES;
      const Vector upper_weight = UPPER ? load(upper + at) : Vector{};
      const Vector lower_weight = LOWER ? load(lower + at) : Vector{};
      MGDN_UNROLL for (int b = 0; b < B; ++b) {
        Vector feature = load(features[b] + dx + u * LANES);
        if (UPPER && LOWER) {
          keep_in_register(feature);
        }
        if (UPPER) {
          sums[0][b][u] += upper_weight * feature;
        }
        if (LOWER) {
          sums[1][b][u] += lower_weight * feature;
        }
      }
    }
  }
}

template <int K, int B>
void sum_taps(const TileRows<K>& tile, const float* weights, int width) {
  for (int x = 0; x < width; x += Vectors<B> * LANES) {
    Vector sums[ROWS][B][Vectors<B>] = {};
    add_tap_row<K, B, true, false>(tile, 0, x, weights, sums);
    for (int row = 1; row < K; ++row) {
      add_tap_row<K, B, true, true>(tile, row, x, weights, sums);
    }
    add_tap_row<K, B, false, true>(tile, K, x, weights, sums);
    MGDN_UNROLL for (int b = 0; b < B; ++b) {
      MGDN_UNROLL for (int u = 0; u < Vectors<B>; ++u) {
        store(tile.out[b][0] + x + u * LANES, sums[0][b][u]);
        store(tile.out[b][1] + x + u * LANES, sums[1][b][u]);
      }
    }
  }
}

template <int K>
void sum_channels(int channels, const TileRows<K>& tile, const float* weights, int width) {
  static_assert(MAX_CHANNELS == 6, "one case for each number of channels");
  switch (channels) {
    case 1: return sum_taps<K, 1>(tile, weights, width);
    case 2: return sum_taps<K, 2>(tile, weights, width);
    case 3: return sum_taps<K, 3>(tile, weights, width);
    case 4: return sum_taps<K, 4>(tile, weights, width);
    case 5: return sum_taps<K, 5>(tile, weights, width);
    default: return sum_taps<K, 6>(tile, weights, width);
  }
}

inline const float* as_float(const float* row) { return row; }
inline float* as_float(float* row) { return row; }
inline const float* as_float(const Half*) { return nullptr; }
inline float* as_float(Half*) { return nullptr; }

// Filters `channels` channels of one tile; `feature` and `out` are those of the first of them.
template <int K, class Scalar>
void filter_tile(const FilterShape& shape, const Scalar* feature, Scalar* out, int channels,
                 int64_t y, int64_t x, int rows, int width, const float* weights) {
  constexpr int REACH = K / 2;
  alignas(64) float copies[MAX_CHANNELS][K + ROWS - 1][RowPitch<K>];
  alignas(64) float results[MAX_CHANNELS][ROWS][TileWidth<K>];
  const bool inside = x >= REACH && x + width + REACH <= shape.width;
  const bool in_place = inside && as_float(feature) != nullptr;
  TileRows<K> tile;
  for (int b = 0; b < channels; ++b) {
    for (int i = 0; i < K + ROWS - 1; ++i) {
      const int64_t row = b * shape.height + mgdn::clamp_index(y + i - REACH, shape.height);
      if (in_place) {
        tile.features[b][i] = as_float(feature + row * shape.width + x - REACH);
      } else {
        copy_row(feature + row * shape.width, shape.width, x - REACH, width + 2 * REACH,
                 copies[b][i]);
        tile.features[b][i] = copies[b][i];
      }
    }
    for (int i = 0; i < ROWS; ++i) {
      Scalar* to = out + (b * shape.height + y + i) * shape.width + x;
      tile.out[b][i] = in_place && i < rows ? as_float(to) : results[b][i];
    }
  }
  sum_channels<K>(channels, tile, weights, width);
  if (in_place) {
    return;
  }
  const int64_t stored = shape.width - x < width ? shape.width - x : width;
  for (int b = 0; b < channels; ++b) {
    for (int i = 0; i < rows; ++i) {
      write_row(results[b][i], out + (b * shape.height + y + i) * shape.width + x, stored);
    }
  }
}

template <int K, class Scalar>
void filter_rows(const FilterShape& shape, const Scalar* feature, const Scalar* kernel,
                 Scalar* out, int64_t n, int64_t first_row, int64_t last_row) {
  constexpr int STEP = 4 * LANES;  // whole steps of every sum_taps
  static_assert(TileWidth<K> % STEP == 0, "tiles are whole steps");
  alignas(64) float weights[ROWS * TileWeights<K>];
  alignas(64) WidenedRows<K> widened;
  const int64_t plane = shape.height * shape.width;
  feature += n * shape.channels * plane;
  out += n * shape.channels * plane;
  kernel += n * K * K * (plane / (shape.upscale * shape.upscale));
  // Channels in equal groups: 32 are 6 + 5 + 5 + 6 + 5 + 5, not five sixes and a two.
  const int64_t groups = (shape.channels + MAX_CHANNELS - 1) / MAX_CHANNELS;
  for (int64_t x = 0; x < shape.width; x += TileWidth<K>) {
    const int64_t rest = (shape.width - x + STEP - 1) / STEP * STEP;
    const int width = rest < TileWidth<K> ? int(rest) : TileWidth<K>;
    widened.held[0] = widened.held[1] = -1;
    for (int64_t y = first_row; y < last_row; y += ROWS) {
      const int rows = last_row - y < ROWS ? 1 : ROWS;
      for (int i = 0; i < ROWS; ++i) {  // an odd last row is filtered twice and stored once
        load_weights<K>(shape, kernel, i < rows ? y + i : y, x, width, widened,
                        weights + i * TileWeights<K>);
      }
      for (int64_t group = 0; group < groups; ++group) {
        const int64_t first = group * shape.channels / groups;
        const int64_t last = (group + 1) * shape.channels / groups;
        filter_tile<K>(shape, feature + first * plane, out + first * plane, int(last - first), y,
                       x, rows, width, weights);
      }
    }
  }
}

}  // namespace
