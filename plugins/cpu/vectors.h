// Vectors of the instruction set a file is compiled for; MGDN_VECTOR_BYTES says how wide.
#pragma once

#include <stdint.h>
#include <string.h>

#ifdef __clang__
#define MGDN_UNROLL _Pragma("unroll")
#else
#define MGDN_UNROLL _Pragma("GCC unroll 16")
#endif

namespace {

typedef float Vector __attribute__((vector_size(MGDN_VECTOR_BYTES)));
typedef int32_t LaneIndex __attribute__((vector_size(MGDN_VECTOR_BYTES)));

constexpr int LANES = MGDN_VECTOR_BYTES / int(sizeof(float));

inline Vector load(const float* from) {
  Vector value;
  memcpy(&value, from, sizeof value);
  return value;
}

inline void store(float* to, Vector value) { memcpy(to, &value, sizeof value); }

}  // namespace
