// What the self tests share: tensors with guards, threads, and the count of failures.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "mgdn.h"

namespace {

constexpr int64_t GUARD = 64;  // elements before and behind the output that must stay as they were
constexpr unsigned char UNTOUCHED = 0x4D;

const char* name_of(int32_t implementation) {
  static const char* const NAMES[] = {"best", "core", "baseline", "avx2", "avx512"};
  return NAMES[implementation];
}

double from_half(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const double fraction = bits & 1023;
  const double size = exponent == 0    ? std::ldexp(fraction, -24)
                      : exponent == 31 ? (fraction == 0 ? HUGE_VAL : NAN)
                                       : std::ldexp(fraction + 1024, exponent - 25);
  return bits & 0x8000 ? -size : size;
}

// A dense tensor as the library takes it: float32, or the bits of binary16.
class Tensor {
 public:
  Tensor(int32_t storage, int64_t size) : storage_(storage), bytes_(size_t(size) * element()) {}

  // The same numbers on every machine: a linear congruential generator's upper bits.
  Tensor(int32_t storage, int64_t size, uint32_t seed) : Tensor(storage, size) {
    uint32_t state = seed * 2654435761u + 1u;
    for (int64_t i = 0; i < size; ++i) {
      state = state * 1664525u + 1013904223u;
      const uint32_t bits = state >> 8;
      if (storage == MGDN_FLOAT32) {
        const float value = float(int32_t(bits) - (1 << 23)) / float(1 << 22);  // [-2, 2)
        memcpy(&bytes_[size_t(i) * 4], &value, 4);
      } else {  // sign and fraction free, magnitudes of 2^-7 to 2
        const uint16_t half = uint16_t((bits & 0x83FF) | (8 + (bits >> 16) % 8) << 10);
        memcpy(&bytes_[size_t(i) * 2], &half, 2);
      }
    }
  }

  double operator[](int64_t i) const {
    if (storage_ == MGDN_FLOAT32) {
      float value;
      memcpy(&value, &bytes_[size_t(i) * 4], 4);
      return value;
    }
    uint16_t half;
    memcpy(&half, &bytes_[size_t(i) * 2], 2);
    return from_half(half);
  }

  size_t element() const { return storage_ == MGDN_FLOAT32 ? 4 : 2; }
  void fill(unsigned char byte) { std::fill(bytes_.begin(), bytes_.end(), byte); }
  bool untouched(int64_t first, int64_t last) const {
    return std::all_of(bytes_.begin() + first * int64_t(element()),
                       bytes_.begin() + last * int64_t(element()),
                       [](unsigned char byte) { return byte == UNTOUCHED; });
  }
  unsigned char* at(int64_t i) { return &bytes_[size_t(i) * element()]; }
  bool operator==(const Tensor& other) const { return bytes_ == other.bytes_; }

 private:
  int32_t storage_;
  std::vector<unsigned char> bytes_;
};

template <class Work>
void run_on_threads(int threads, Work work) {
  std::vector<std::thread> pool;
  for (int i = 0; i < threads; ++i) {
    pool.emplace_back([&work, i] { work(i); });
  }
  for (std::thread& each : pool) {
    each.join();
  }
}

int failures = 0;

void check(bool passed, const std::string& what) {
  if (!passed) {
    ++failures;
    fprintf(stderr, "FAILED: %s\n", what.c_str());
  }
}

}  // namespace
