// NormalizedLinear and ResidualMlp in the self test.
#pragma once

#include <atomic>
#include <cmath>
#include <string>

#include "self_test.h"

namespace {

// Every implementation against CORE, which tests/plugins/test_token_layers.py holds to numpy. Sums of
// 256 products of size 4 are rounded at 2^-15 of themselves.
void check_tokens(int32_t implementation, int threads) {
  constexpr double TOLERANCE = 4e-3;
  struct Size {
    int64_t tokens;
    int32_t channels, hidden;
  };
  for (const Size& size : {Size{1, 2, 3}, Size{2125, 30, 60}, Size{3, 64, 256}, Size{99, 17, 33}}) {
    for (bool mlp : {false, true}) {
      const int64_t c = size.channels, m = size.hidden;
      const std::string what = std::string(mlp ? "mlp " : "linear ") + name_of(implementation) +
                               " " + std::to_string(size.tokens) + " x " + std::to_string(c) +
                               " to " + std::to_string(m);
      Tensor x(MGDN_FLOAT32, size.tokens * c, 1), a(MGDN_FLOAT32, size.tokens * c, 2);
      Tensor scale(MGDN_FLOAT32, c, 3), shift(MGDN_FLOAT32, c, 4);
      Tensor weights[] = {{MGDN_FLOAT32, c * c, 5}, {MGDN_FLOAT32, c * m, 6}, {MGDN_FLOAT32, m * c, 7}};
      Tensor biases[] = {{MGDN_FLOAT32, c, 8}, {MGDN_FLOAT32, m, 9}, {MGDN_FLOAT32, c, 10}};
      const int64_t results = size.tokens * (mlp ? c : m);
      auto floats = [](Tensor& tensor) { return reinterpret_cast<float*>(tensor.at(0)); };
      auto run = [&](int32_t code, float* other_shift, int pool) {
        Tensor out(MGDN_FLOAT32, results + 2 * GUARD);
        Tensor normed(MGDN_FLOAT32, size.tokens * c + 2 * GUARD);
        out.fill(UNTOUCHED);
        normed.fill(UNTOUCHED);
        const MgdnTokenLayer call = {floats(x),          floats(scale),
                                     other_shift,        floats(weights[1]),
                                     floats(biases[1]),  mlp ? floats(weights[2]) : nullptr,
                                     mlp ? floats(biases[2]) : nullptr, mlp ? floats(a) : nullptr,
                                     mlp ? floats(weights[0]) : nullptr,
                                     mlp ? floats(biases[0]) : nullptr,
                                     mlp ? nullptr : reinterpret_cast<float*>(normed.at(GUARD)),
                                     reinterpret_cast<float*>(out.at(GUARD)),
                                     size.tokens, size.channels, size.hidden, code};
        int64_t bands = 0;
        check(mgdn_token_layer_bands(&call, &bands) == MGDN_OK, what + ": refused");
        std::atomic<int64_t> next{0};
        run_on_threads(pool, [&](int) {
          for (int64_t band = next++; band < bands; band = next++) {
            mgdn_token_layer_run(&call, band, band + 1);
          }
        });
        check(out.untouched(0, GUARD) && out.untouched(GUARD + results, 2 * GUARD + results) &&
                  normed.untouched(0, GUARD) &&
                  normed.untouched(GUARD + (mlp ? 0 : size.tokens * c), 2 * GUARD + size.tokens * c),
              what + ": wrote outside its output");
        return out;
      };
      auto distance = [&](const Tensor& one, const Tensor& other) {
        double largest = 0;
        for (int64_t i = GUARD; i < GUARD + results; ++i) {
          const double error = std::abs(one[i] - other[i]);
          largest = std::max(largest, std::isnan(error) ? HUGE_VAL : error);
        }
        return largest;
      };
      const Tensor alone = run(implementation, floats(shift), 1);
      const Tensor core = run(MGDN_CORE, floats(shift), 1);
      check(run(implementation, floats(shift), threads) == alone, what + ": threads changed the result");
      check(distance(alone, core) <= TOLERANCE, what + ": is not what core computes");
      check(distance(run(implementation, floats(scale), 1), core) > 0.05,
            what + ": another shift is not noticed");
    }
  }
}

}  // namespace
