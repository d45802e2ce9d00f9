// The native library by itself, no Python: every implementation of this machine, alone and on many
// threads at once, against DynamicFilter's definition in double precision, attention and the layers
// around it against their slow twins. For processors that only an emulator has, and for sanitizers
// that want a program of their own.
//
//   c++ -std=c++14 -O2 -pthread -Iplugins tests/plugins/self_test.cpp mgdn_native.so -o self_test
//   ./self_test [THREADS]
//
// Uses nothing of the library but mgdn.h, so that a mistake in its arithmetic cannot be here too.
#include "self_test.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>
#include <vector>

#include "mgdn.h"
#include "self_test_attention.h"
#include "self_test_tokens.h"

namespace {

struct Shape {
  int64_t batch, channels, height, width;  // before upscaling
};

// One pixel, one row, one column, smaller than the filter; tiles of 64 and 128 pixels with a rest,
// channel groups of 6 with a rest, several bands of 16 rows, an odd last row.
constexpr Shape SHAPES[] = {
    {1, 1, 1, 1}, {2, 3, 1, 5}, {1, 2, 5, 1}, {1, 7, 17, 33}, {2, 1, 35, 150}, {1, 13, 3, 131},
};

int64_t clamped(int64_t index, int64_t size) {
  return std::min(std::max(index, int64_t(0)), size - 1);
}

struct Case {
  Shape shape;
  int32_t kernel_size, upscale, storage;

  int64_t height() const { return shape.height * upscale; }
  int64_t width() const { return shape.width * upscale; }
  int64_t taps() const { return int64_t(kernel_size) * kernel_size; }
  int64_t out_size() const { return shape.batch * shape.channels * height() * width(); }
  int64_t kernel_elements() const { return shape.batch * taps() * shape.height * shape.width; }

  std::string text() const {
    char line[160];
    snprintf(line, sizeof line, "(%lld, %lld, %lld, %lld) K=%d upscale=%d %s",
             (long long)shape.batch, (long long)shape.channels, (long long)height(),
             (long long)width(), kernel_size, upscale,
             storage == MGDN_FLOAT32 ? "float32" : "float16");
    return line;
  }
};

// The plane of one tap at pixel (y, x) of the upscaled kernel: bilinear, half-pixel centres,
// clamped. `size` is the same of magnitudes, what rounding is relative to.
void interpolate(const Case& c, const Tensor& kernel, int64_t plane, int64_t y, int64_t x,
                 double& value, double& size) {
  const double v = (double(y) + 0.5) / c.upscale - 0.5;
  const double u = (double(x) + 0.5) / c.upscale - 0.5;
  value = size = 0;
  for (int64_t row = int64_t(std::floor(v)), i = row; i < row + 2; ++i) {
    for (int64_t column = int64_t(std::floor(u)), j = column; j < column + 2; ++j) {
      const double weight = (1 - std::abs(v - double(i))) * (1 - std::abs(u - double(j)));
      if (weight != 0) {
        const double tap = kernel[plane + clamped(i, c.shape.height) * c.shape.width +
                                  clamped(j, c.shape.width)];
        value += weight * tap;
        size += weight * std::abs(tap);
      }
    }
  }
}

// What the operation is defined to give and how far float32 sums may be from it; `swapped` is the
// result with rows and columns of the taps exchanged, which a check must not take for it.
struct Expected {
  std::vector<double> values, bounds, swapped;
};

Expected define(const Case& c, const Tensor& feature, const Tensor& kernel) {
  const int64_t H = c.height(), W = c.width(), K = c.kernel_size;
  std::vector<double> weights(size_t(c.taps() * H * W)), sizes(weights.size());
  Expected expected;
  for (int64_t n = 0; n < c.shape.batch; ++n) {
    for (int64_t j = 0; j < c.taps(); ++j) {
      for (int64_t i = 0; i < H * W; ++i) {
        const int64_t plane = (n * c.taps() + j) * c.shape.height * c.shape.width;
        const size_t at = size_t(j * H * W + i);
        interpolate(c, kernel, plane, i / W, i % W, weights[at], sizes[at]);
      }
    }
    for (int64_t ch = 0; ch < c.shape.channels; ++ch) {
      const int64_t image = (n * c.shape.channels + ch) * H * W;
      for (int64_t i = 0; i < H * W; ++i) {
        double sum = 0, swapped = 0, magnitude = 0;
        for (int64_t j = 0; j < c.taps(); ++j) {
          const int64_t dy = j / K - K / 2, dx = j % K - K / 2;
          const int64_t y = i / W, x = i % W;
          const size_t at = size_t(j * H * W + i);
          const double value = feature[image + clamped(y + dy, H) * W + clamped(x + dx, W)];
          sum += weights[at] * value;
          magnitude += sizes[at] * std::abs(value);
          swapped += weights[at] * feature[image + clamped(y + dx, H) * W + clamped(x + dy, W)];
        }
        // Each of K*K sums, a product and five steps of interpolation round by at most 2^-24 of
        // the sum of magnitudes; storing as half by 2^-11 of it or half a subnormal's step.
        double bound = magnitude * double(c.taps() + 6) * std::ldexp(1, -24);
        if (c.storage == MGDN_FLOAT16) {
          bound += magnitude * std::ldexp(1, -11) + std::ldexp(1, -25);
        }
        expected.values.push_back(sum);
        expected.bounds.push_back(bound);
        expected.swapped.push_back(swapped);
      }
    }
  }
  return expected;
}

// Index of the first value that is off, -1 for none. NaN is off.
int64_t find_difference(const Tensor& guarded, const std::vector<double>& values,
                        const std::vector<double>& bounds) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (!(std::abs(guarded[GUARD + int64_t(i)] - values[i]) <= bounds[i])) {
      return int64_t(i);
    }
  }
  return -1;
}

// One call with memory of its own.
struct Call {
  Tensor out;
  MgdnDynamicFilter filter;
  int64_t bands = 0;

  Call(const Case& c, Tensor& feature, Tensor& kernel, int32_t implementation)
      : out(c.storage, c.out_size() + 2 * GUARD),
        filter{feature.at(0),   kernel.at(0),  nullptr,   c.shape.batch,
               c.shape.channels, c.height(),   c.width(), c.kernel_size,
               c.upscale,        c.storage,    implementation} {
    out.fill(UNTOUCHED);
    filter.out = out.at(GUARD);
  }
};

void check_case(const Case& c, int32_t implementation, Tensor& feature, Tensor& kernel,
                const Expected& expected, int threads) {
  const std::string what = c.text() + " " + name_of(implementation);
  Call alone(c, feature, kernel, implementation);
  check(mgdn_dynamic_filter_bands(&alone.filter, &alone.bands) == MGDN_OK, what + ": refused");
  check(mgdn_dynamic_filter_run(&alone.filter, 0, alone.bands) == MGDN_OK, what + ": did not run");
  const int64_t off = find_difference(alone.out, expected.values, expected.bounds);
  if (off >= 0) {
    check(false, what + ": element " + std::to_string(off) + " is " +
                     std::to_string(alone.out[GUARD + off]) + ", not " +
                     std::to_string(expected.values[size_t(off)]));
  }
  check(alone.out.untouched(0, GUARD) &&
            alone.out.untouched(GUARD + c.out_size(), 2 * GUARD + c.out_size()),
        what + ": wrote outside its output");
  if (c.width() > 1 && c.height() > 1) {
    check(find_difference(alone.out, expected.swapped, expected.bounds) >= 0,
          what + ": swapped taps are not noticed");
  }

  // Bands of one call on all threads at once, whoever comes takes the next.
  Call shared(c, feature, kernel, implementation);
  std::atomic<int64_t> next{0};
  run_on_threads(threads, [&](int) {
    for (int64_t band = next++; band < alone.bands; band = next++) {
      mgdn_dynamic_filter_run(&shared.filter, band, band + 1);
    }
  });
  check(shared.out == alone.out, what + ": threads changed the result");
}

// Whole calls at the same time, each its own: the library keeps no state between them.
void check_calls_side_by_side(int threads) {
  const Case c = {{1, 7, 40, 70}, 5, 2, MGDN_FLOAT32};
  Tensor feature(c.storage, c.out_size(), 3);
  Tensor kernel(c.storage, c.kernel_elements(), 4);
  auto run = [](Call& call) {
    mgdn_dynamic_filter_bands(&call.filter, &call.bands);
    mgdn_dynamic_filter_run(&call.filter, 0, call.bands);
  };
  Call alone(c, feature, kernel, MGDN_BEST);
  run(alone);
  std::vector<char> same(size_t(threads), 0);
  run_on_threads(threads, [&](int i) {
    Call own(c, feature, kernel, MGDN_BEST);
    run(own);
    same[size_t(i)] = own.out == alone.out;
  });
  check(std::count(same.begin(), same.end(), 1) == threads, "calls disturb one another");
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? atoi(argv[1]) : 8;
  if (threads < 1 || argc > 2) {
    fprintf(stderr, "usage: %s [THREADS], at least 1\n", argv[0]);
    return 2;
  }
  check(mgdn_abi_version() == MGDN_ABI_VERSION, "the library is of another ABI version");
  std::vector<int32_t> usable;
  std::string names;
  for (int32_t implementation = MGDN_CORE; implementation <= MGDN_AVX512; ++implementation) {
    if (mgdn_implementation_usable(implementation)) {
      usable.push_back(implementation);
      names += std::string(" ") + name_of(implementation);
    }
  }
  check(usable.size() >= 2, "neither core nor baseline can run");
  uint32_t cases = 0;
  for (const Shape& shape : SHAPES) {
    for (int32_t kernel_size : {3, 5, 7}) {
      for (int32_t upscale : {1, 2, 4}) {
        for (int32_t storage : {MGDN_FLOAT32, MGDN_FLOAT16}) {
          const Case c = {shape, kernel_size, upscale, storage};
          Tensor feature(storage, c.out_size(), 2 * cases + 1);
          Tensor kernel(storage, c.kernel_elements(), 2 * cases + 2);
          const Expected expected = define(c, feature, kernel);
          for (int32_t implementation : usable) {
            check_case(c, implementation, feature, kernel, expected, threads);
          }
          ++cases;
        }
      }
    }
  }
  for (int32_t implementation : usable) {
    check_attention(implementation, threads);
    check_tokens(implementation, threads);
  }
  check_calls_side_by_side(threads);
  printf("self test:%s; best is %s; %u cases, %d threads: %s\n", names.c_str(),
         name_of(mgdn_best_implementation()), cases, threads,
         failures == 0 ? "passed" : "FAILED");
  return failures == 0 ? 0 : 1;
}
