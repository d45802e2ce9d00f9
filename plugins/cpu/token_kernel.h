// NormalizedLinear and ResidualMlp in vectors: lanes are results. TOKENS tokens at a time:
// 1. products: a pair of vectors of results of every token, the sum over the inputs of a weight row
//    times the token's input in all lanes. A loaded pair of weights serves TOKENS products.
// 2. layer norm: lanes are a token's values, summed across lanes.
// Weights are copied once per band into rows of whole pairs with zeros behind, so that neither needs
// to know where a row of the tensor ends. Results are stored in whole vectors, too: what a token's
// last one writes into the next token's row is overwritten by that token. The last tokens of a band
// pass through buffers instead, because what follows them is another thread's.
#pragma once

#include "attention_kernel.h"
#include "tiles.h"
#include "token_layer_core.h"
#include "vectors.h"

namespace {

constexpr int TOKENS = LANES == 16 ? 8 : 4;  // two sums each, of 32 or 16 registers
constexpr int PAIR = 2 * LANES;
constexpr int round_to_pairs(int count) { return (count + PAIR - 1) / PAIR * PAIR; }
constexpr int MAX_ROW = round_to_pairs(mgdn::MAX_TOKEN_CHANNELS);
constexpr int MAX_WIDE = round_to_pairs(mgdn::MAX_TOKEN_HIDDEN);

// `count` values and zeros behind them.
inline void copy_padded(const float* from, int count, int pitch, float* to) {
  memcpy(to, from, sizeof(float) * size_t(count));
  memset(to + count, 0, sizeof(float) * size_t(pitch - count));
}

// A linear layer's weights in rows of `pitch`, and its bias.
template <int Inputs, int Row>
struct Linear {
  alignas(64) float weight[Inputs * Row];
  alignas(64) float bias[Row];
  int inputs;
  int pitch;

  void copy(const float* from, const float* bias_from, int count, int results) {
    inputs = count;
    pitch = round_to_pairs(results);
    for (int c = 0; c < inputs; ++c) {
      copy_padded(from + int64_t(c) * results, results, pitch, weight + c * pitch);
    }
    copy_padded(bias_from, results, pitch, bias);
  }
};

// finish(token, m, results [m, m + LANES)) for TOKENS rows of inputs, `from_pitch` apart. The last
// results come first, so that whole vectors may be stored in rows that are shorter.
template <int Inputs, int Row, class Finish>
inline void multiply(const Linear<Inputs, Row>& layer, const float* from, int from_pitch,
                     Finish finish) {
  for (int m = layer.pitch - PAIR; m >= 0; m -= PAIR) {
    Vector sums[TOKENS][2];
    MGDN_UNROLL for (int t = 0; t < TOKENS; ++t) {
      sums[t][0] = load(layer.bias + m);
      sums[t][1] = load(layer.bias + m + LANES);
    }
    const float* weight = layer.weight + m;
    for (int c = 0; c < layer.inputs; ++c, weight += layer.pitch) {
      const Vector first = load(weight);
      const Vector second = load(weight + LANES);
      MGDN_UNROLL for (int t = 0; t < TOKENS; ++t) {
        const float value = from[t * from_pitch + c];
        sums[t][0] += first * value;
        sums[t][1] += second * value;
      }
    }
    MGDN_UNROLL for (int t = 0; t < TOKENS; ++t) {
      finish(t, m, sums[t][0]);
      finish(t, m + LANES, sums[t][1]);
    }
  }
}

// t * (1 + erf(t / sqrt(2))) / 2 = max(t, 0) - |t| / 2 * erfc(|t| / sqrt(2)), at most 5e-8 off.
//
// -ln(erfc(u / sqrt(2))) is smooth on [0, 6]: a polynomial of degree 8, fitted so that the largest
// error of u / 2 * erfc is least (Lawson's weights, log_ndtr of SciPy). Beyond 6 the term is below
// 1e-8 and stays what it is at 6.
inline Vector gelu(Vector t) {
  Vector u = t < 0.0f ? -t : t;
  u = u > 6.0f ? broadcast(6.0f) : u;
  Vector q = u * 1.1716977e-06f - 1.73864319e-05f;
  q = q * u + 7.93395375e-05f;
  q = q * u + 0.000224123505f;
  q = q * u - 0.00508311437f;
  q = q * u + 0.0365386978f;
  q = q * u + 0.318234563f;
  q = q * u + 0.797897816f;
  q = q * u - 7.80525454e-07f;
  const Vector positive = t > 0.0f ? t : Vector{};
  return positive - u * 0.5f * exponential(-q);
}

// What a band keeps beside the processor.
struct TokenWorkspace {
  Linear<mgdn::MAX_TOKEN_CHANNELS, MAX_ROW> project;
  Linear<mgdn::MAX_TOKEN_CHANNELS, MAX_WIDE> widen;
  Linear<mgdn::MAX_TOKEN_HIDDEN, MAX_ROW> narrow;
  alignas(64) float scale[MAX_ROW];
  alignas(64) float shift[MAX_ROW];
  alignas(64) float rows[TOKENS * MAX_ROW];    // of the residual stream
  alignas(64) float normed[TOKENS * MAX_ROW];  // after the layer norm
  alignas(64) float wide[TOKENS * MAX_WIDE];
  int channels;
  int pitch;  // of rows and normed
};

// `values` where lane + first is below `count`, else 0.
inline Vector keep_first(Vector values, int first, int count) {
  LaneIndex lanes;
  memcpy(&lanes, TURNS.lanes[0], sizeof lanes);
  return lanes < count - first ? values : Vector{};
}

inline void normalize(TokenWorkspace& work) {
  const float share = 1.0f / float(work.channels);
  MGDN_UNROLL for (int t = 0; t < TOKENS; ++t) {
    const float* row = work.rows + t * work.pitch;
    float* normed = work.normed + t * work.pitch;
    Vector sum = {};
    for (int c = 0; c < work.pitch; c += LANES) {
      sum += load(row + c);
    }
    const Vector mean = sum_lanes(sum) * share;
    Vector squares = {};
    for (int c = 0; c < work.pitch; c += LANES) {
      const Vector centred = keep_first(load(row + c) - mean, c, work.channels);
      squares += centred * centred;
      store(normed + c, centred);
    }
    const Vector variance = sum_lanes(squares) * share;
    const float factor = 1.0f / sqrtf(variance[0] + mgdn::NORM_EPSILON);
    for (int c = 0; c < work.pitch; c += LANES) {
      store(normed + c, load(normed + c) * factor * load(work.scale + c) + load(work.shift + c));
    }
  }
}

// TOKENS tokens; behind the last of x, a, normed and out there is room for a pair.
inline void run_block(TokenWorkspace& work, const float* x, const float* a, float* normed,
                      float* out, int hidden) {
  const int channels = work.channels;
  const int pitch = work.pitch;
  for (int t = 0; t < TOKENS; ++t) {
    for (int c = 0; c < pitch; c += LANES) {
      store(work.rows + t * pitch + c, keep_first(load(x + t * channels + c), c, channels));
    }
  }
  if (!a) {
    normalize(work);
    for (int t = 0; t < TOKENS; ++t) {
      for (int c = 0; c < pitch; c += LANES) {
        store(normed + t * channels + c, load(work.normed + t * pitch + c));
      }
    }
    multiply(work.widen, work.normed, pitch,
             [&](int t, int m, Vector result) { store(out + t * hidden + m, result); });
    return;
  }
  multiply(work.project, a, channels, [&](int t, int m, Vector change) {
    float* row = work.rows + t * pitch + m;
    store(row, load(row) + change);
  });
  normalize(work);
  multiply(work.widen, work.normed, pitch, [&](int t, int m, Vector result) {
    store(work.wide + t * work.widen.pitch + m, gelu(result));
  });
  multiply(work.narrow, work.wide, work.widen.pitch, [&](int t, int m, Vector change) {
    store(out + t * channels + m, load(work.rows + t * pitch + m) + change);
  });
}

// Fewer than TOKENS or the last of a band, through buffers.
inline void run_last_block(TokenWorkspace& work, const MgdnTokenLayer& layer, int64_t first,
                           int64_t count) {
  alignas(64) float x[TOKENS * MAX_ROW + PAIR] = {};
  alignas(64) float a[TOKENS * MAX_ROW + PAIR] = {};
  alignas(64) float normed[TOKENS * MAX_ROW + PAIR];
  alignas(64) float out[TOKENS * MAX_WIDE + PAIR];
  const int64_t width = layer.a ? layer.channels : layer.hidden;
  const size_t narrow = sizeof(float) * size_t(count * layer.channels);
  memcpy(x, layer.x + first * layer.channels, narrow);
  if (layer.a) {
    memcpy(a, layer.a + first * layer.channels, narrow);
  }
  run_block(work, x, layer.a ? a : nullptr, normed, out, layer.hidden);
  memcpy(layer.out + first * width, out, sizeof(float) * size_t(count * width));
  if (!layer.a) {
    memcpy(layer.normed + first * layer.channels, normed, narrow);
  }
}

// Not inline: one copy of 150 KiB of stack.
__attribute__((noinline)) void run_tokens(const MgdnTokenLayer& layer, int64_t first,
                                          int64_t last) {
  TokenWorkspace work;
  work.channels = layer.channels;
  work.widen.copy(layer.weight1, layer.bias1, layer.channels, layer.hidden);
  work.pitch = round_to_pairs(layer.channels);
  copy_padded(layer.scale, layer.channels, work.pitch, work.scale);
  copy_padded(layer.shift, layer.channels, work.pitch, work.shift);
  if (layer.a) {
    work.project.copy(layer.weight0, layer.bias0, layer.channels, layer.channels);
    work.narrow.copy(layer.weight2, layer.bias2, layer.hidden, layer.channels);
  }
  const int64_t width = layer.a ? layer.channels : layer.hidden;
  int64_t token = first;
  // Room for a pair behind the block: the tokens that follow in this band.
  for (; token + 2 * TOKENS + PAIR <= last; token += TOKENS) {
    run_block(work, layer.x + token * layer.channels,
              layer.a ? layer.a + token * layer.channels : nullptr,
              layer.a ? nullptr : layer.normed + token * layer.channels,
              layer.out + token * width, layer.hidden);
  }
  for (; token < last; token += TOKENS) {
    run_last_block(work, layer, token, last - token < TOKENS ? last - token : TOKENS);
  }
}

}  // namespace
