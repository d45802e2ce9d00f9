// The arithmetic of DynamicFilter, shared by every native build: where a tap reads, how a kernel
// is interpolated, how a pixel is summed. Compiles as C++14 on a host and, under nvcc, on a device.
//
//   out[n, c, y, x] = sum_j kernel[n, j, y, x]
//                     * feature[n, c, y + j / K - K / 2, x + j % K - K / 2]
//
// Neighbours outside the image repeat the border. Kernels are not normalised and not flipped.
// With upscale s > 1 the kernel is 1/s of the feature's size and is interpolated bilinearly
// (half-pixel centres, clamped), the same as ONNX Resize with "linear" and "half_pixel".
// plugins/reference.py is the specification; filter_pixel below is its slow native twin.
#pragma once

#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define MGDN_HOST_DEVICE __host__ __device__
#else
#define MGDN_HOST_DEVICE
#endif

namespace mgdn {

// Shapes and attributes, checked by the caller: all at least 1, kernel_size odd, upscale dividing
// height and width.
struct FilterShape {
  int64_t batch;
  int64_t channels;
  int64_t height;
  int64_t width;
  int32_t kernel_size;
  int32_t upscale;
};

// IEEE binary16 as stored; sums run in float.
struct Half {
  uint16_t bits;
};

MGDN_HOST_DEVICE inline int64_t clamp_index(int64_t index, int64_t size) {
  return index < 0 ? 0 : index >= size ? size - 1 : index;
}

// Where pixel `position` of an upscaled row or column reads: (1 - weight) * low + weight * high.
struct Interpolation {
  int64_t low;
  int64_t high;
  float weight;
};

// `size` is the length before upscaling. The source coordinate is (position + 1/2) / s - 1/2, in
// units of 1 / (2s): (2 position + 1 - s); shifting by 2s keeps the division of negatives away.
// Weights are multiples of 1/8 and therefore exact.
MGDN_HOST_DEVICE inline Interpolation interpolate_index(int64_t position, int64_t size,
                                                        int32_t upscale) {
  const int64_t shifted = 2 * position + 1 + upscale;
  const int64_t low = shifted / (2 * upscale) - 1;
  const float weight = float(shifted % (2 * upscale)) / float(2 * upscale);
  return {clamp_index(low, size), clamp_index(low + 1, size), weight};
}

MGDN_HOST_DEVICE inline float interpolate(float low, float high, float weight) {
  return (1.0f - weight) * low + weight * high;
}

MGDN_HOST_DEVICE inline float load_scalar(const float* at) { return *at; }

MGDN_HOST_DEVICE inline void store_scalar(float* at, float value) { *at = value; }

MGDN_HOST_DEVICE inline float float_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

MGDN_HOST_DEVICE inline uint32_t bits_from_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

MGDN_HOST_DEVICE inline float load_scalar(const Half* at) {
#ifdef __CUDA_ARCH__
  float value;  // one instruction; the integer steps below would be ten
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(at->bits));
  return value;
#else
  const uint32_t sign = uint32_t(at->bits & 0x8000u) << 16;
  const uint32_t exponent = (at->bits >> 10) & 0x1Fu;
  const uint32_t fraction = at->bits & 0x3FFu;
  if (exponent == 0) {  // zero and subnormals: fraction * 2^-24
    const float magnitude = float(fraction) * float_from_bits(0x33800000u);
    return float_from_bits(sign | bits_from_float(magnitude));
  }
  // Infinity and NaN keep their exponent of ones; finite values move from bias 15 to bias 127.
  const uint32_t wide = exponent == 0x1Fu ? 0xFFu : exponent + 112u;
  return float_from_bits(sign | wide << 23 | fraction << 13);
#endif
}

// Rounds to nearest, ties to even.
MGDN_HOST_DEVICE inline void store_scalar(Half* at, float value) {
#ifdef __CUDA_ARCH__
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(at->bits) : "f"(value));
#else
  const uint32_t bits = bits_from_float(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  uint32_t half;
  if (magnitude > 0x7F800000u) {
    half = 0x7E00u;  // NaN
  } else if (magnitude >= 0x47800000u) {
    half = 0x7C00u;  // 65536 and above; what rounds up to it carries there below
  } else if (magnitude < 0x38800000u) {
    // Subnormal: adding 1/2 leaves the value in units of 2^-24 in the sum's last bits, rounded.
    half = bits_from_float(float_from_bits(magnitude) + 0.5f) - 0x3F000000u;
  } else {
    const uint32_t odd = (magnitude >> 13) & 1u;
    half = (magnitude - 0x38000000u + 0xFFFu + odd) >> 13;
  }
  at->bits = uint16_t(sign | half);
#endif
}

// The weight of one tap at (y, x); `plane` is that tap's (H / s, W / s) plane.
template <class Scalar>
MGDN_HOST_DEVICE inline float tap_weight(const FilterShape& shape, const Scalar* plane, int64_t y,
                                         int64_t x) {
  const int64_t width = shape.width / shape.upscale;
  if (shape.upscale == 1) {
    return load_scalar(plane + y * width + x);
  }
  const Interpolation row = interpolate_index(y, shape.height / shape.upscale, shape.upscale);
  const Interpolation column = interpolate_index(x, width, shape.upscale);
  const Scalar* low = plane + row.low * width;
  const Scalar* high = plane + row.high * width;
  return interpolate(
      interpolate(load_scalar(low + column.low), load_scalar(high + column.low), row.weight),
      interpolate(load_scalar(low + column.high), load_scalar(high + column.high), row.weight),
      column.weight);
}

// One output value. `feature` and `kernel` are whole tensors, (N, C, H, W) and
// (N, K*K, H / s, W / s), dense.
template <class Scalar>
MGDN_HOST_DEVICE inline float filter_pixel(const FilterShape& shape, const Scalar* feature,
                                           const Scalar* kernel, int64_t n, int64_t c, int64_t y,
                                           int64_t x) {
  const int32_t size = shape.kernel_size;
  const int64_t plane = shape.height * shape.width;
  const int64_t kernel_plane = plane / (int64_t(shape.upscale) * shape.upscale);
  const Scalar* image = feature + (n * shape.channels + c) * plane;
  const Scalar* taps = kernel + n * size * size * kernel_plane;
  float sum = 0.0f;
  for (int32_t tap = 0; tap < size * size; ++tap) {
    const int64_t row = clamp_index(y + tap / size - size / 2, shape.height);
    const int64_t column = clamp_index(x + tap % size - size / 2, shape.width);
    sum += tap_weight(shape, taps + tap * kernel_plane, y, x) *
           load_scalar(image + row * shape.width + column);
  }
  return sum;
}

}  // namespace mgdn
