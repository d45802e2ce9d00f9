// The arithmetic of WindowAttention, shared by every native build: which pixel a token is, which
// tokens see each other. plugins/window_attention.py is the specification; attend_window below is
// its slow native twin. Functions are static, because each instruction set has its own copy.
//
//   An image of H x W pixels, H and W multiples of the window w, is moved up and left by `shift`
//   pixels, wrapping, and cut into w x w windows of T = w * w tokens (row-major). In each, per head:
//   out[i] = sum_j softmax_j(q[i] . k[j] / sqrt(d) + bias[j][i] + mask[i][j]) v[j]
//   mask is -100 where wrapping has brought i and j together from opposite borders, else 0. The
//   result is moved back. (Swin Transformer, Liu et al., ICCV 2021, section 3.2.)
#pragma once

#include <math.h>
#include <stdint.h>

namespace mgdn {

// Checked by the caller: sizes at least 1, window 4 or 8, 0 <= shift < window, head_size at most
// MAX_HEAD_SIZE.
struct AttentionShape {
  int64_t batch;
  int64_t height;
  int64_t width;
  int32_t heads;
  int32_t head_size;
  int32_t window;
  int32_t shift;
};

constexpr int32_t MAX_WINDOW = 8;
constexpr int32_t MAX_HEAD_SIZE = 64;
constexpr float OTHER_REGION = -100.0f;

// Pixel of the unmoved image under position `moved` of the moved one.
static inline int64_t unmoved_index(int64_t moved, int64_t size, int32_t shift) {
  const int64_t index = moved + shift;
  return index < size ? index : index - size;
}

// 1 for what wrapping has brought from the other border, else 0.
static inline int32_t wrapped(int64_t moved, int64_t size, int32_t shift) { return moved >= size - shift; }

// Tokens of window (row, column) of an image: pixel index and region, both T long. Tokens of
// different regions do not see each other. Returns whether there is more than one region.
static inline bool place_tokens(const AttentionShape& shape, int64_t row, int64_t column, int64_t* pixels,
                         float* regions) {
  for (int32_t ty = 0; ty < shape.window; ++ty) {
    const int64_t y = row * shape.window + ty;
    for (int32_t tx = 0; tx < shape.window; ++tx) {
      const int64_t x = column * shape.window + tx;
      const int32_t token = ty * shape.window + tx;
      pixels[token] = unmoved_index(y, shape.height, shape.shift) * shape.width +
                      unmoved_index(x, shape.width, shape.shift);
      regions[token] = float(2 * wrapped(y, shape.height, shape.shift) +
                             wrapped(x, shape.width, shape.shift));
    }
  }
  return shape.shift > 0 && ((row + 1) * shape.window == shape.height ||
                             (column + 1) * shape.window == shape.width);
}

// One window. `qkv` is the image's (H, W, 3, heads, d), `bias` (heads, T, T) with the key's index
// before the query's, `out` the image's (H, W, heads, d).
static inline void attend_window(const AttentionShape& shape, const float* qkv, const float* bias,
                          float* out, int64_t row, int64_t column) {
  const int32_t tokens = shape.window * shape.window;
  const int32_t width = shape.heads * shape.head_size;
  const double scale = 1.0 / sqrt(double(shape.head_size));
  int64_t pixels[MAX_WINDOW * MAX_WINDOW];
  float regions[MAX_WINDOW * MAX_WINDOW];
  place_tokens(shape, row, column, pixels, regions);
  for (int32_t head = 0; head < shape.heads; ++head) {
    for (int32_t i = 0; i < tokens; ++i) {
      const float* query = qkv + pixels[i] * 3 * width + head * shape.head_size;
      double logits[MAX_WINDOW * MAX_WINDOW];
      double largest = -HUGE_VAL;
      for (int32_t j = 0; j < tokens; ++j) {
        const float* key = qkv + pixels[j] * 3 * width + width + head * shape.head_size;
        double product = 0.0;
        for (int32_t c = 0; c < shape.head_size; ++c) {
          product += double(query[c]) * key[c];
        }
        logits[j] = product * scale + bias[(head * tokens + j) * tokens + i] +
                    (regions[i] == regions[j] ? 0.0f : OTHER_REGION);
        largest = logits[j] > largest ? logits[j] : largest;
      }
      double total = 0.0;
      for (int32_t j = 0; j < tokens; ++j) {
        logits[j] = exp(logits[j] - largest);
        total += logits[j];
      }
      float* result = out + pixels[i] * width + head * shape.head_size;
      for (int32_t c = 0; c < shape.head_size; ++c) {
        double sum = 0.0;
        for (int32_t j = 0; j < tokens; ++j) {
          sum += logits[j] * qkv[pixels[j] * 3 * width + 2 * width + head * shape.head_size + c];
        }
        result[c] = float(sum / total);
      }
    }
  }
}

}  // namespace mgdn
