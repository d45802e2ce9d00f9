// WindowAttention in vectors: lanes are queries. Per window, head and vector of queries:
// 1. logits: one vector per key, the sum over d of a vector of queries' values (transposed once per
//    head) times the key's value, read in place. Maximum, exponential and sum over the keys are then
//    operations between vectors, never across lanes.
// 2. results: one vector per value of the head, the sum over keys of weights times values read in
//    place, written back transposed.
// Nothing larger than a window's logits ever exists.
#pragma once

#include "tiles.h"
#include "vectors.h"

namespace {

using mgdn::AttentionShape;

constexpr int KEYS_AT_ONCE = 8;    // sums that hide the latency of a multiply-add
constexpr int VALUES_AT_ONCE = 5;  // divides the published head sizes 5 and 10

inline Vector broadcast(float value) { return value - Vector{}; }

// e^x for x <= 0, at most 2 units in the last place off; 0 below -87, NaN stays.
//
// x = n ln 2 + r with |r| <= ln 2 / 2; ln 2 is split so that n times its upper part is exact. e^r by
// its Taylor polynomial of degree 7, whose rest is below 1e-8 of it; 2^n by its exponent bits.
inline Vector exponential(Vector x) {
  constexpr float ROUND = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  constexpr float UPPER = 0.693359375f;
  constexpr float LOWER = -2.12194440e-4f;
  const LaneIndex vanishes = x < -87.0f;
  x = vanishes ? broadcast(-87.0f) : x;
  const Vector shifted = x * 1.44269504f + ROUND;
  const Vector n = shifted - ROUND;
  const Vector r = x - n * UPPER - n * LOWER;
  Vector sum = r * (1.0f / 5040.0f) + 1.0f / 720.0f;
  sum = sum * r + 1.0f / 120.0f;
  sum = sum * r + 1.0f / 24.0f;
  sum = sum * r + 1.0f / 6.0f;
  sum = sum * r + 0.5f;
  sum = sum * r + 1.0f;
  sum = sum * r + 1.0f;
  LaneIndex bits;
  memcpy(&bits, &shifted, sizeof bits);
  bits = (bits - 0x4B400000 + 127) << 23;  // the bits of ROUND; a NaN's are garbage times NaN
  Vector power;
  memcpy(&power, &bits, sizeof power);
  return vanishes ? Vector{} : sum * power;
}

// The places of one window, and what every head of it shares.
template <int W>
struct Window {
  static constexpr int TOKENS = W * W;
  int64_t pixels[TOKENS];
  alignas(64) float regions[TOKENS];
  bool masked;
};

template <int W>
struct Head {
  const float* queries;  // (pixel, 3, heads, d) at this head
  const float* keys;
  const float* values;
  int64_t pitch;  // from pixel to pixel
  const float* bias;
  int size;  // d
};

// (T, d) at the window's pixels, times `factor` -> (d, T).
template <int W>
inline void transpose_in(const Window<W>& window, const float* from, int64_t pitch, int size,
                         float factor, float* to) {
  for (int token = 0; token < W * W; ++token) {
    const float* values = from + window.pixels[token] * pitch;
    for (int c = 0; c < size; ++c) {
      to[c * W * W + token] = values[c] * factor;
    }
  }
}

// Logits of queries [i, i + LANES) against every key.
template <int W>
inline void find_logits(const Window<W>& window, const Head<W>& head, const float* queries, int i,
                        Vector (&logits)[W * W]) {
  constexpr int T = W * W;
  const Vector regions = load(window.regions + i);
  for (int j = 0; j < T; j += KEYS_AT_ONCE) {
    const float* keys[KEYS_AT_ONCE];
    Vector sums[KEYS_AT_ONCE];
    MGDN_UNROLL for (int u = 0; u < KEYS_AT_ONCE; ++u) {
      keys[u] = head.keys + window.pixels[j + u] * head.pitch;
      sums[u] = load(head.bias + (j + u) * T + i);
    }
    if (window.masked) {
      MGDN_UNROLL for (int u = 0; u < KEYS_AT_ONCE; ++u) {
        const LaneIndex differs = regions != window.regions[j + u];
        sums[u] += differs ? broadcast(mgdn::OTHER_REGION) : Vector{};
      }
    }
    for (int c = 0; c < head.size; ++c) {
      const Vector query = load(queries + c * T + i);
      MGDN_UNROLL for (int u = 0; u < KEYS_AT_ONCE; ++u) { sums[u] += query * keys[u][c]; }
    }
    MGDN_UNROLL for (int u = 0; u < KEYS_AT_ONCE; ++u) { logits[j + u] = sums[u]; }
  }
}

// Softmax over the keys, in place, without its division -> the sums to divide by.
template <int T>
inline Vector weigh(Vector (&logits)[T]) {
  Vector largest = logits[0];
  for (int j = 1; j < T; ++j) {
    largest = logits[j] > largest ? logits[j] : largest;
  }
  Vector total = {};
  for (int j = 0; j < T; ++j) {
    logits[j] = exponential(logits[j] - largest);
    total += logits[j];
  }
  return total;
}

// Values [c, c + COUNT) of the results of queries [i, i + LANES).
template <int W, int COUNT>
inline void sum_values(const Window<W>& window, const Head<W>& head,
                       const Vector (&weights)[W * W], Vector share, int c, int i, float* results) {
  constexpr int T = W * W;
  Vector sums[COUNT] = {};
  for (int j = 0; j < T; ++j) {
    const float* values = head.values + window.pixels[j] * head.pitch + c;
    MGDN_UNROLL for (int u = 0; u < COUNT; ++u) { sums[u] += weights[j] * values[u]; }
  }
  MGDN_UNROLL for (int u = 0; u < COUNT; ++u) { store(results + (c + u) * T + i, sums[u] * share); }
}

template <int W>
void attend_row(const AttentionShape& shape, const float* qkv, const float* bias, float* out,
                int64_t n, int64_t row) {
  constexpr int T = W * W;
  static_assert(T % LANES == 0 && T % KEYS_AT_ONCE == 0, "windows are whole vectors");
  alignas(64) float queries[mgdn::MAX_HEAD_SIZE * T];
  alignas(64) float results[mgdn::MAX_HEAD_SIZE * T];
  const int64_t width = int64_t(shape.heads) * shape.head_size;
  const int64_t image = shape.height * shape.width * width;
  qkv += n * 3 * image;
  out += n * image;
  const float scale = 1.0f / sqrtf(float(shape.head_size));
  Window<W> window;
  for (int64_t column = 0; column < shape.width / W; ++column) {
    window.masked = mgdn::place_tokens(shape, row, column, window.pixels, window.regions);
    for (int h = 0; h < shape.heads; ++h) {
      const float* first = qkv + int64_t(h) * shape.head_size;
      const Head<W> head = {first,     first + width, first + 2 * width, 3 * width,
                            bias + int64_t(h) * T * T, shape.head_size};
      transpose_in(window, head.queries, head.pitch, head.size, scale, queries);
      for (int i = 0; i < T; i += LANES) {
        Vector logits[T];
        find_logits(window, head, queries, i, logits);
        const Vector share = 1.0f / weigh(logits);
        int c = 0;
        for (; c + VALUES_AT_ONCE <= head.size; c += VALUES_AT_ONCE) {
          sum_values<W, VALUES_AT_ONCE>(window, head, logits, share, c, i, results);
        }
        for (; c < head.size; ++c) {
          sum_values<W, 1>(window, head, logits, share, c, i, results);
        }
      }
      for (int token = 0; token < T; ++token) {
        float* to = out + window.pixels[token] * width + int64_t(h) * shape.head_size;
        for (int c = 0; c < head.size; ++c) {
          to[c] = results[c * T + token];
        }
      }
    }
  }
}

}  // namespace
