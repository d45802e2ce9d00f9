// WindowAttention and ShiftedWindowAttention in the self test.
#pragma once

#include <atomic>
#include <cmath>
#include <string>

#include "self_test.h"

namespace {

// Attention: every implementation against CORE, which tests/plugins/test_window_attention.py holds
// to numpy. Logits reach 40 here, so rounding moves an exponential by a few 1e-5 of itself.
void check_attention(int32_t implementation, int threads) {
  constexpr double TOLERANCE = 1e-4;
  constexpr int64_t N = 2, H = 16, W = 24, HEADS = 3, D = 10;
  for (int32_t window : {4, 8}) {
    for (int32_t shift : {0, 1, window / 2}) {
      const std::string what = std::string("attention ") + name_of(implementation) + " window " +
                               std::to_string(window) + " shift " + std::to_string(shift);
      Tensor qkv(MGDN_FLOAT32, N * H * W * 3 * HEADS * D, 5);
      Tensor bias(MGDN_FLOAT32, HEADS * window * window * window * window, 6);
      auto attend = [&](int32_t code, int32_t moved, int pool) {
        Tensor out(MGDN_FLOAT32, N * H * W * HEADS * D + 2 * GUARD);
        out.fill(UNTOUCHED);
        const MgdnWindowAttention call = {reinterpret_cast<const float*>(qkv.at(0)),
                                          reinterpret_cast<const float*>(bias.at(0)),
                                          reinterpret_cast<float*>(out.at(GUARD)),
                                          N, H, W, HEADS, D, window, moved, code};
        int64_t bands = 0;
        check(mgdn_window_attention_bands(&call, &bands) == MGDN_OK, what + ": refused");
        std::atomic<int64_t> next{0};
        run_on_threads(pool, [&](int) {
          for (int64_t band = next++; band < bands; band = next++) {
            mgdn_window_attention_run(&call, band, band + 1);
          }
        });
        check(out.untouched(0, GUARD) &&
                  out.untouched(GUARD + N * H * W * HEADS * D, 2 * GUARD + N * H * W * HEADS * D),
              what + ": wrote outside its output");
        return out;
      };
      auto distance = [](const Tensor& one, const Tensor& other) {
        double largest = 0;
        for (int64_t i = GUARD; i < GUARD + N * H * W * HEADS * D; ++i) {
          const double error = std::abs(one[i] - other[i]);
          largest = std::max(largest, std::isnan(error) ? HUGE_VAL : error);
        }
        return largest;
      };
      const Tensor alone = attend(implementation, shift, 1);
      const Tensor core = attend(MGDN_CORE, shift, 1);
      check(attend(implementation, shift, threads) == alone, what + ": threads changed the result");
      check(distance(alone, core) <= TOLERANCE, what + ": is not what core computes");
      check(distance(attend(implementation, shift + 1, 1), core) > 0.1,
            what + ": another shift is not noticed");
    }
  }
}

}  // namespace
