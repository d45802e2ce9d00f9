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

// Lanes of `from`, by number.
inline Vector pick(Vector from, LaneIndex lanes) {
#ifdef __clang__
  Vector value;
  for (int lane = 0; lane < LANES; ++lane) {
    value[lane] = from[lanes[lane]];
  }
  return value;
#else
  return __builtin_shuffle(from, lanes);
#endif
}

// Lane l holds l ^ distance, for the distances LANES / 2, LANES / 4, ... 1. A table, because GCC 12
// builds a vector that it computes in a loop lane by lane.
struct Turns {
  int32_t lanes[LANES][LANES];
  constexpr Turns() : lanes() {
    for (int distance = 0; distance < LANES; ++distance) {
      for (int lane = 0; lane < LANES; ++lane) {
        lanes[distance][lane] = lane ^ distance;
      }
    }
  }
};
alignas(64) constexpr Turns TURNS;

// The sum over all lanes, in every lane.
inline Vector sum_lanes(Vector value) {
  MGDN_UNROLL for (int distance = LANES / 2; distance > 0; distance /= 2) {
    LaneIndex turned;
    memcpy(&turned, TURNS.lanes[distance], sizeof turned);
    value += pick(value, turned);
  }
  return value;
}

}  // namespace
