// How the CUDA kernel cuts an image: a block filters a tile, a thread 4 neighbours in a row of it.
#pragma once

#include <cuda_runtime.h>
#include <string.h>

#include "dynamic_filter_core.h"

namespace {

using mgdn::FilterShape;
using mgdn::Half;
using mgdn::Interpolation;

constexpr int PIXELS = 4;  // of a thread
constexpr int TILE_WIDTH = 64;
constexpr int TILE_HEIGHT = 8;
constexpr int THREADS = TILE_WIDTH / PIXELS * TILE_HEIGHT;

// Offsets inside a tile and its border are 32 bits: 14 rows of 2^25 floats stay below 2^32 bytes.
constexpr int64_t MAX_WIDTH = int64_t(1) << 25;

// The scalars of a thread's pixels, moved as one word.
template <class Scalar>
struct Group;
template <>
struct Group<float> {
  using Word = uint4;
};
template <>
struct Group<Half> {
  using Word = uint2;
};

// Where a thread's first pixel lies: `row` and `column` in the tile at (y, x).
struct Place {
  int64_t y;
  int64_t x;
  int row;
  int column;

  // `row`, or the tile's last one inside the image.
  __device__ __forceinline__ int64_t valid_row(int64_t height) const {
    return y + row < height ? row : height - 1 - y;
  }
};

// In bytes, `count` scalars.
template <class Scalar>
__device__ __forceinline__ uint32_t bytes_of(int64_t count) {
  return uint32_t(count) * uint32_t(sizeof(Scalar));
}

// An element `bytes` behind `base`. Bases are the same for a whole block and live in its uniform
// registers; a thread's own share of an address is one register instead of two.
template <class Scalar>
__device__ __forceinline__ Scalar* behind(Scalar* base, uint32_t bytes) {
  return (Scalar*)((char*)base + bytes);  // a cast that keeps or drops const as it must
}

template <class Scalar>
__device__ __forceinline__ void unpack(const typename Group<Scalar>::Word& word, float* to) {
  Scalar scalars[PIXELS];
  memcpy(scalars, &word, sizeof word);
#pragma unroll
  for (int i = 0; i < PIXELS; ++i) {
    to[i] = mgdn::load_scalar(scalars + i);
  }
}

// One channel of a tile in shared memory: rows of 16-byte chunks, one beyond the tile on either
// side. A chunk holds 4 or 8 scalars, at least K / 2, so a tile's border fits into it, and chunk i
// of a tile starts at 16 * i bytes.
template <int K, class Scalar>
struct Tile {
  static constexpr int CHUNK = 16 / int(sizeof(Scalar));
  static constexpr int CHUNKS_PER_ROW = TILE_WIDTH / CHUNK + 2;
  static constexpr int CHUNKS = (TILE_HEIGHT + K - 1) * CHUNKS_PER_ROW;
  static constexpr int PITCH = CHUNKS_PER_ROW * CHUNK;
  static constexpr int COPIES = (CHUNKS + THREADS - 1) / THREADS;  // of a thread
};

// A chunk that leaves the image, or any chunk of rows that do not start on 16 bytes: scalar by
// scalar, the border repeated. Rare or slow, so it is kept small instead of fast.
template <int K, class Scalar>
__device__ __forceinline__ void copy_scalars(const FilterShape& shape, const Scalar* image,
                                             int64_t y, int64_t x, int chunk, Scalar* to) {
  using T = Tile<K, Scalar>;
  const int first = chunk % T::CHUNKS_PER_ROW * T::CHUNK;
  const int64_t row = mgdn::clamp_index(y + chunk / T::CHUNKS_PER_ROW - K / 2, shape.height);
  const Scalar* from = image + row * shape.width;
#pragma unroll 1
  for (int column = first; column < first + T::CHUNK; ++column) {
    if (column >= T::CHUNK - K / 2 && column < T::CHUNK + TILE_WIDTH + K / 2) {
      to[column - first] = from[mgdn::clamp_index(x + column - T::CHUNK, shape.width)];
    }
  }
}

}  // namespace
