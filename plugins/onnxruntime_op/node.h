// A node of a graph as the C interface takes it: its attributes, pointers and sizes.
#pragma once

#include <stdio.h>
#include <string.h>

#include "mgdn.h"
#include "tensor.h"

namespace {

using namespace onnxruntime_abi;

constexpr size_t RANK = 4;

struct Kernel {
  Api api;
  MgdnStorage storage;
  int32_t kernel_size;
  int32_t upscale;
};

Status* check_kernel_shape(const Kernel& kernel, const int64_t (&feature)[RANK],
                           const int64_t (&taps)[RANK]) {
  const int64_t wanted[RANK] = {feature[0], int64_t(kernel.kernel_size) * kernel.kernel_size,
                                feature[2] / kernel.upscale, feature[3] / kernel.upscale};
  if (!memcmp(wanted, taps, sizeof wanted)) {
    return nullptr;
  }
  char text[320];
  snprintf(text, sizeof text,
           "mgdn.DynamicFilter: kernel is (%lld, %lld, %lld, %lld) for feature (%lld, %lld, %lld, "
           "%lld), kernel_size %d and upscale %d; (N, K*K, H/s, W/s) is needed",
           (long long)taps[0], (long long)taps[1], (long long)taps[2], (long long)taps[3],
           (long long)feature[0], (long long)feature[1], (long long)feature[2],
           (long long)feature[3], kernel.kernel_size, kernel.upscale);
  return kernel.api.create_status(INVALID_ARGUMENT, text);
}

Status* status_from(const Api& api, int32_t status) {
  if (status == MGDN_OK) {
    return nullptr;
  }
  char text[320];
  snprintf(text, sizeof text, "mgdn.DynamicFilter: %s", mgdn_status_text(status));
  const bool machine = status == MGDN_UNSUPPORTED_CPU || status == MGDN_CUDA_FAILED;
  return api.create_status(machine ? FAIL : INVALID_ARGUMENT, text);
}

// The call a node makes now: where its tensors lie, and their sizes.
Status* read_filter(const Kernel& kernel, KernelContext* context, MgdnDynamicFilter* filter) {
  const Api& api = kernel.api;
  const Value* inputs[2] = {nullptr, nullptr};
  void* data[2] = {nullptr, nullptr};
  int64_t sizes[2][RANK] = {};
  for (size_t index = 0; index < 2; ++index) {
    if (Status* failed = api.get_input(context, index, &inputs[index])) {
      return failed;
    }
    bool fits = true;
    if (Status* failed = read_tensor(api, inputs[index], RANK, &data[index], sizes[index], &fits)) {
      return failed;
    }
    if (!fits) {
      return api.create_status(INVALID_ARGUMENT,
                               "mgdn.DynamicFilter: feature and kernel must be (N, C, H, W)");
    }
  }
  if (Status* failed = check_kernel_shape(kernel, sizes[0], sizes[1])) {
    return failed;
  }
  Value* output = nullptr;
  void* out = nullptr;
  if (Status* failed = api.get_output(context, 0, sizes[0], RANK, &output)) {
    return failed;
  }
  if (Status* failed = api.get_data(output, &out)) {
    return failed;
  }
  *filter = {data[0],        data[1],     out,
             sizes[0][0],    sizes[0][1], sizes[0][2],
             sizes[0][3],    kernel.kernel_size, kernel.upscale,
             kernel.storage, MGDN_BEST};
  return nullptr;
}

}  // namespace
