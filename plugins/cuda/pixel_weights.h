// The K*K weights of a thread's pixels, from memory into its registers.
#pragma once

#include "tiles.h"

namespace {

// The weights of the pixels at `place`; `kernel` is image n's. Pixels outside the image get those
// of the nearest inside: they are computed but never stored. Weights are read once and marked so
// (ldcs): a cache is better filled with features, whose rows the next tile needs again.
template <int K, class Scalar>
__device__ __forceinline__ void load_weights(const FilterShape& shape, const Scalar* kernel,
                                             const Place& place, bool in_words,
                                             float (&weights)[K * K][PIXELS]) {
  using Word = typename Group<Scalar>::Word;
  const int64_t plane = shape.height * shape.width;
  const Scalar* tile = kernel + place.y * shape.width + place.x;
  const uint32_t above = bytes_of<Scalar>(place.valid_row(shape.height) * shape.width);
  if (in_words && place.x + place.column + PIXELS <= shape.width) {
    const uint32_t pixel = above + bytes_of<Scalar>(place.column);
#pragma unroll
    for (int tap = 0; tap < K * K; ++tap) {
      const Scalar* word = behind(tile + tap * plane, pixel);
      unpack<Scalar>(__ldcs(reinterpret_cast<const Word*>(word)), weights[tap]);
    }
    return;
  }
  uint32_t pixels[PIXELS];
#pragma unroll
  for (int i = 0; i < PIXELS; ++i) {
    const int64_t column = mgdn::clamp_index(place.x + place.column + i, shape.width);
    pixels[i] = above + bytes_of<Scalar>(column - place.x);
  }
#pragma unroll
  for (int tap = 0; tap < K * K; ++tap) {
#pragma unroll
    for (int i = 0; i < PIXELS; ++i) {
      weights[tap][i] = mgdn::load_scalar(behind(tile + tap * plane, pixels[i]));
    }
  }
}

// The same from a kernel at 1/S of the size. The 4 pixels lie between 4 / S + 2 columns of two
// rows, from the column left of x / S on: seen from there, pixel i is pixel S + i.
template <int K, int S, class Scalar>
__device__ __forceinline__ void interpolate_weights(const FilterShape& shape, const Scalar* kernel,
                                                    const Place& place,
                                                    float (&weights)[K * K][PIXELS]) {
  constexpr int COLUMNS = PIXELS / S + 2;
  const int64_t height = shape.height / S;
  const int64_t width = shape.width / S;
  const int64_t first_row = mgdn::interpolate_index(place.y, height, S).low;
  const int64_t first_column = mgdn::clamp_index(place.x / S - 1, width);
  const Scalar* tile = kernel + first_row * width + first_column;
  const Interpolation row =
      mgdn::interpolate_index(place.y + place.valid_row(shape.height), height, S);
  uint32_t low[COLUMNS];
  uint32_t high[COLUMNS];
#pragma unroll
  for (int j = 0; j < COLUMNS; ++j) {
    const int64_t column =
        mgdn::clamp_index((place.x + place.column) / S - 1 + j, width) - first_column;
    low[j] = bytes_of<Scalar>((row.low - first_row) * width + column);
    high[j] = bytes_of<Scalar>((row.high - first_row) * width + column);
  }
#pragma unroll
  for (int tap = 0; tap < K * K; ++tap) {
    const Scalar* plane = tile + tap * (height * width);
    float between[COLUMNS];
#pragma unroll
    for (int j = 0; j < COLUMNS; ++j) {
      between[j] = mgdn::interpolate(mgdn::load_scalar(behind(plane, low[j])),
                                     mgdn::load_scalar(behind(plane, high[j])), row.weight);
    }
#pragma unroll
    for (int i = 0; i < PIXELS; ++i) {
      const Interpolation at = mgdn::interpolate_index(S + i, COLUMNS, S);
      weights[tap][i] = mgdn::interpolate(between[at.low], between[at.high], at.weight);
    }
    if (tap % K == K - 1) {
      __syncwarp();  // else the compiler brings loads of later rows forward and spills (nvcc 13.0)
    }
  }
}

}  // namespace
