// A double of mgdn_dynamic_filter_enqueue: records what it is given and computes on host memory.
#pragma once

#include "cuda/dynamic_filter_cuda.h"

struct LauncherDouble {
  int calls;
  MgdnDynamicFilter filter;  // of the last call
  void* stream;
  int32_t status;  // what the next calls return; MGDN_OK computes
  bool computes;   // on host pointers; false leaves the pointers alone
};

extern LauncherDouble launcher_double;
