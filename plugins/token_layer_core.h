// The arithmetic of NormalizedLinear and ResidualMlp for one token: the slow native twin of
// cpu/token_kernel.h. plugins/token_layers.py is the specification and has the formulas. Functions
// are static, because each instruction set has its own copy.
#pragma once

#include <math.h>
#include <stdint.h>

#include "mgdn.h"

namespace mgdn {

constexpr int32_t MAX_TOKEN_CHANNELS = 64;
constexpr int32_t MAX_TOKEN_HIDDEN = 256;
constexpr float NORM_EPSILON = 1e-5f;

// (C) times (C, M) plus (M) -> (M).
static inline void multiply_slowly(const double* from, int32_t channels, const float* weight,
                                   const float* bias, int32_t hidden, double* to) {
  for (int32_t m = 0; m < hidden; ++m) {
    double sum = 0.0;
    for (int32_t c = 0; c < channels; ++c) {
      sum += from[c] * weight[int64_t(c) * hidden + m];
    }
    to[m] = sum + bias[m];
  }
}

static inline void normalize_slowly(const double* from, int32_t channels, const float* scale,
                                    const float* shift, double* to) {
  double mean = 0.0;
  for (int32_t c = 0; c < channels; ++c) {
    mean += from[c] / channels;
  }
  double variance = 0.0;
  for (int32_t c = 0; c < channels; ++c) {
    variance += (from[c] - mean) * (from[c] - mean) / channels;
  }
  const double factor = 1.0 / sqrt(variance + double(NORM_EPSILON));
  for (int32_t c = 0; c < channels; ++c) {
    to[c] = (from[c] - mean) * factor * scale[c] + shift[c];
  }
}

static inline void run_token_slowly(const MgdnTokenLayer& layer, int64_t token) {
  const int32_t channels = layer.channels;
  double hidden[MAX_TOKEN_CHANNELS];
  double normed[MAX_TOKEN_CHANNELS];
  double wide[MAX_TOKEN_HIDDEN];
  double change[MAX_TOKEN_CHANNELS];
  const float* x = layer.x + token * channels;
  for (int32_t c = 0; c < channels; ++c) {
    hidden[c] = x[c];
  }
  if (layer.a) {
    for (int32_t c = 0; c < channels; ++c) {
      normed[c] = layer.a[token * channels + c];
    }
    multiply_slowly(normed, channels, layer.weight0, layer.bias0, channels, change);
    for (int32_t c = 0; c < channels; ++c) {
      hidden[c] += change[c];
    }
  }
  normalize_slowly(hidden, channels, layer.scale, layer.shift, normed);
  multiply_slowly(normed, channels, layer.weight1, layer.bias1, layer.hidden, wide);
  if (!layer.a) {
    for (int32_t m = 0; m < layer.hidden; ++m) {
      layer.out[token * layer.hidden + m] = float(wide[m]);
    }
    for (int32_t c = 0; c < channels; ++c) {
      layer.normed[token * channels + c] = float(normed[c]);
    }
    return;
  }
  for (int32_t m = 0; m < layer.hidden; ++m) {
    wide[m] *= 0.5 * (1.0 + erf(wide[m] / sqrt(2.0)));
  }
  multiply_slowly(wide, layer.hidden, layer.weight2, layer.bias2, channels, change);
  for (int32_t c = 0; c < channels; ++c) {
    layer.out[token * channels + c] = float(hidden[c] + change[c]);
  }
}

}  // namespace mgdn
