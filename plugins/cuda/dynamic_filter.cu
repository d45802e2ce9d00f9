// DynamicFilter on CUDA devices: the contract is that of mgdn_dynamic_filter_enqueue. Float32 or
// float16 storage, float32 sums; K in {3, 5, 7}, upscale in {1, 2, 4}; sm_75 and newer.
//
//   out[n, c, y, x] = sum_j kernel[n, j, y, x]
//                     * feature[n, c, y + j / K - K / 2, x + j % K - K / 2]
//
// A block owns 64 x 8 pixels, a thread 4 neighbours in a row, and then walks through the channels:
//
// 1. Weights. A thread reads the K*K weights of its pixels once, interpolated if need be, and
//    keeps them in registers: 196 of 255 at K = 7. Memory is touched once whatever C is, and a
//    full-size interpolated kernel never exists.
// 2. Features. One channel of the tile and its border lies in shared memory, as stored, in a ring
//    of 4: three channels are on their way while one is filtered (asynchronous copies on sm_80 and
//    newer). By Little's law an H100 SM needs about 18 KB in flight (3.35 TB/s, 0.7 us, 132 SMs);
//    two blocks have 3 * 2.2 KB each, and the other block's weights, 50 KB, overlap.
// 3. Sums, in float32, stored without a round trip.
//
// Why 4 pixels in a row: a row of taps needs 4 + K - 1 features for 4 * K products. At K = 7 in
// float16 that is, for a channel and a thread, 196 FMA, 70 conversions and 21 shared loads; 2
// pixels would pay 56 and 28 for 98. With 65 for copies, loop and store (counted in the machine
// code of sm_90), 56 % of what is issued are products. Two blocks of 128 threads fit an SM: few,
// but every thread has 4 independent sums, and its loads run ahead.
//
// Bytes at C = 32, 1920x1080, float16, K = 7: weights 203 MB, features and output 133 MB each.
// Instructions: 195 M of warps. Jetson AGX Orin: 2.7 ms to move at 174 GB/s, 2.3 ms to issue (16
// SMs, 1.3 GHz). H100: 0.17 ms to move at 2.8 TB/s, 0.21 ms to issue (132 SMs, 1.75 GHz): there
// the issue of instructions decides, and tensor cores would be the next step. All calculated.
#include <cuda_pipeline.h>
#include <cuda_runtime.h>
#include <string.h>

#include "contract.h"
#include "dynamic_filter_cuda.h"
#include "pixel_weights.h"
#include "tiles.h"

// The most a grid takes in its second and third dimension; what is larger takes several launches.
// Tests lower it to see them.
#ifndef MGDN_MAX_GRID
#define MGDN_MAX_GRID 65535
#endif

namespace {

constexpr int STAGES = 4;  // channels in shared memory; a power of two
constexpr uint32_t SCALAR_BY_SCALAR = UINT32_MAX;  // an offset that is none

// How many blocks an SM must hold, and so how many registers a thread may have: 255, or 128 at
// K = 3. Tighter bounds made the compiler spill addresses of the weights.
template <int K>
constexpr int BlocksPerProcessor = K == 3 ? 4 : 2;

template <class Scalar>
struct Arguments {
  FilterShape shape;
  const Scalar* feature;
  const Scalar* kernel;
  Scalar* out;
  int64_t first_across;  // the tile and the image of this launch's block 0
  int64_t first_down;
  int64_t first_image;
  bool feature_in_chunks;  // every row starts on 16 bytes
  bool kernel_in_words;    // every row starts on a Word
  bool out_in_words;
};

// The formula for a thread's pixels and one channel; `from` is 4 left of the pixels, K / 2 above.
template <int K, class Scalar>
__device__ __forceinline__ void sum_taps(const Scalar* from, const float (&weights)[K * K][PIXELS],
                                         float (&sums)[PIXELS]) {
  using Word = typename Group<Scalar>::Word;
#pragma unroll
  for (int dy = 0; dy < K; ++dy) {
    const Word* words = reinterpret_cast<const Word*>(from + dy * Tile<K, Scalar>::PITCH);
    float window[3 * PIXELS];
#pragma unroll
    for (int i = 0; i < 3; ++i) {
      unpack<Scalar>(words[i], window + i * PIXELS);
    }
#pragma unroll
    for (int dx = 0; dx < K; ++dx) {
#pragma unroll
      for (int i = 0; i < PIXELS; ++i) {
        sums[i] += weights[dy * K + dx][i] * window[PIXELS - K / 2 + dx + i];
      }
    }
  }
}

// Stores the first `count` of a thread's sums.
template <class Scalar>
__device__ __forceinline__ void store_sums(const float (&sums)[PIXELS], bool in_words, int count,
                                           Scalar* to) {
  using Word = typename Group<Scalar>::Word;
  Scalar scalars[PIXELS];
#pragma unroll
  for (int i = 0; i < PIXELS; ++i) {
    mgdn::store_scalar(scalars + i, sums[i]);
  }
  if (in_words && count == PIXELS) {
    Word word;
    memcpy(&word, scalars, sizeof word);
    __stcs(reinterpret_cast<Word*>(to), word);
    return;
  }
#pragma unroll
  for (int i = 0; i < PIXELS; ++i) {
    if (i < count) {
      to[i] = scalars[i];
    }
  }
}

template <int K, int S, class Scalar>
__global__ void __launch_bounds__(THREADS, BlocksPerProcessor<K>)
    filter_tiles(const Arguments<Scalar> arguments) {
  using T = Tile<K, Scalar>;
  alignas(16) __shared__ Scalar stages[STAGES][T::CHUNKS * T::CHUNK];
  const FilterShape& shape = arguments.shape;
  const int64_t plane = shape.height * shape.width;
  const int thread = int(threadIdx.x);
  const Place place = {(arguments.first_down + blockIdx.y) * TILE_HEIGHT,
                       (arguments.first_across + blockIdx.x) * TILE_WIDTH,
                       thread / (TILE_WIDTH / PIXELS), thread % (TILE_WIDTH / PIXELS) * PIXELS};
  const int64_t n = arguments.first_image + blockIdx.z;

  float weights[K * K][PIXELS];
  const Scalar* kernel = arguments.kernel + n * K * K * (plane / (S * S));
  if (S > 1) {
    interpolate_weights<K, S>(shape, kernel, place, weights);
  }

  const int64_t first_row = mgdn::clamp_index(place.y - K / 2, shape.height);
  const int64_t first_column = place.x == 0 ? 0 : place.x - T::CHUNK;
  const Scalar* image = arguments.feature + n * shape.channels * plane;
  uint32_t offsets[T::COPIES];  // in bytes, of this thread's chunks from the first row and column
#pragma unroll
  for (int i = 0; i < T::COPIES; ++i) {
    const int chunk = thread + i * THREADS;
    const int64_t row =
        mgdn::clamp_index(place.y + chunk / T::CHUNKS_PER_ROW - K / 2, shape.height);
    const int64_t column = place.x + (chunk % T::CHUNKS_PER_ROW - 1) * T::CHUNK;
    const bool inside = column >= 0 && column + T::CHUNK <= shape.width;
    offsets[i] = arguments.feature_in_chunks && inside
                     ? bytes_of<Scalar>((row - first_row) * shape.width + column - first_column)
                     : SCALAR_BY_SCALAR;
  }
  const auto copy_next_channel = [&](int stage) {
#pragma unroll
    for (int i = 0; i < T::COPIES; ++i) {
      const int chunk = thread + i * THREADS;
      if (chunk < T::CHUNKS) {
        Scalar* to = &stages[stage][chunk * T::CHUNK];
        if (offsets[i] != SCALAR_BY_SCALAR) {
          const Scalar* tile = image + first_row * shape.width + first_column;
          __pipeline_memcpy_async(to, behind(tile, offsets[i]), 16);
        } else {
          copy_scalars<K>(shape, image, place.y, place.x, chunk, to);
        }
      }
    }
    image += plane;
  };
#pragma unroll 1
  for (int stage = 0; stage < STAGES - 1; ++stage) {
    if (stage < shape.channels) {
      copy_next_channel(stage);
    }
    __pipeline_commit();
  }
  if (S == 1) {
    load_weights<K>(shape, kernel, place, arguments.kernel_in_words, weights);
  }

  const int64_t pixels =
      place.y + place.row < shape.height ? shape.width - place.x - place.column : 0;
  const int count = pixels < PIXELS ? int(pixels) : PIXELS;
  Scalar* out = arguments.out + n * shape.channels * plane + place.y * shape.width + place.x;
  const uint32_t first_pixel = bytes_of<Scalar>(place.row * shape.width + place.column);
  for (int64_t c = 0; c < shape.channels; ++c) {
    // Own copies of channel c have arrived, then everyone's; and everyone is done with c - 1,
    // whose place the next copy takes.
    __pipeline_wait_prior(STAGES - 2);
    __syncthreads();
    if (c + STAGES - 1 < shape.channels) {
      copy_next_channel(int((c + STAGES - 1) % STAGES));
    }
    __pipeline_commit();
    float sums[PIXELS] = {};
    sum_taps<K>(stages[c % STAGES] + place.row * T::PITCH + T::CHUNK - PIXELS + place.column,
                weights, sums);
    store_sums(sums, arguments.out_in_words, count, behind(out, first_pixel));
    out += plane;
  }
}

bool aligned(const void* pointer, int64_t row_bytes, size_t bytes) {
  return reinterpret_cast<uintptr_t>(pointer) % bytes == 0 && row_bytes % int64_t(bytes) == 0;
}

unsigned grid_size(int64_t rest) {
  return unsigned(rest < MGDN_MAX_GRID ? rest : MGDN_MAX_GRID);
}

template <int K, int S, class Scalar>
cudaError_t launch(const MgdnDynamicFilter& filter, cudaStream_t stream) {
  const FilterShape shape = {filter.batch, filter.channels,    filter.height,
                             filter.width, filter.kernel_size, filter.upscale};
  const int64_t row_bytes = shape.width * int64_t(sizeof(Scalar));
  const size_t word = sizeof(typename Group<Scalar>::Word);
  Arguments<Scalar> arguments = {shape,
                                 static_cast<const Scalar*>(filter.feature),
                                 static_cast<const Scalar*>(filter.kernel),
                                 static_cast<Scalar*>(filter.out),
                                 0,
                                 0,
                                 0,
                                 aligned(filter.feature, row_bytes, 16),
                                 aligned(filter.kernel, row_bytes, word),
                                 aligned(filter.out, row_bytes, word)};
  const int64_t across = (shape.width + TILE_WIDTH - 1) / TILE_WIDTH;
  const int64_t down = (shape.height + TILE_HEIGHT - 1) / TILE_HEIGHT;
  void* pointers[] = {&arguments};
  cudaError_t error = cudaSuccess;
  for (int64_t n = 0; n < shape.batch; n += MGDN_MAX_GRID) {
    for (int64_t i = 0; i < down; i += MGDN_MAX_GRID) {
      for (int64_t j = 0; j < across && error == cudaSuccess; j += MGDN_MAX_GRID) {
        arguments.first_across = j;
        arguments.first_down = i;
        arguments.first_image = n;
        const dim3 grid(grid_size(across - j), grid_size(down - i), grid_size(shape.batch - n));
        error = cudaLaunchKernel(filter_tiles<K, S, Scalar>, grid, dim3(THREADS), pointers, 0,
                                 stream);
      }
    }
  }
  return error;
}

template <int K, class Scalar>
cudaError_t launch_upscale(const MgdnDynamicFilter& filter, cudaStream_t stream) {
  return filter.upscale == 1   ? launch<K, 1, Scalar>(filter, stream)
         : filter.upscale == 2 ? launch<K, 2, Scalar>(filter, stream)
                               : launch<K, 4, Scalar>(filter, stream);
}

template <class Scalar>
cudaError_t launch_size(const MgdnDynamicFilter& filter, cudaStream_t stream) {
  return filter.kernel_size == 3   ? launch_upscale<3, Scalar>(filter, stream)
         : filter.kernel_size == 5 ? launch_upscale<5, Scalar>(filter, stream)
                                   : launch_upscale<7, Scalar>(filter, stream);
}

}  // namespace

extern "C" int32_t mgdn_dynamic_filter_enqueue(const MgdnDynamicFilter* filter, void* stream) {
  const int32_t status = mgdn::check_contract(filter);
  if (status != MGDN_OK) {
    return status;
  }
  if (filter->implementation != MGDN_BEST) {
    return MGDN_BAD_ATTRIBUTE;
  }
  if (filter->width > MAX_WIDTH) {
    return MGDN_BAD_SHAPE;
  }
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  const cudaError_t error = filter->storage == MGDN_FLOAT16 ? launch_size<Half>(*filter, on)
                                                            : launch_size<float>(*filter, on);
  return error == cudaSuccess ? MGDN_OK : MGDN_CUDA_FAILED;
}
