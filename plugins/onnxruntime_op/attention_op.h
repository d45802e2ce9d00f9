// mgdn::WindowAttention and mgdn::ShiftedWindowAttention version 1 for ONNX Runtime's CPU provider:
// fetch pointers and shapes, call the C interface on the runtime's own threads. No arithmetic here.
// Two operations, because an ONNX function body cannot depend on whether an attribute is zero.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>

#include "mgdn.h"
#include "tensor.h"

namespace attention {

using namespace onnxruntime_abi;

constexpr size_t RANK = 4;       // of qkv and of the result
constexpr size_t BIAS_RANK = 3;

// The runtime hands this pointer back to every function of the operation.
struct Op {
  CustomOp op;  // first, so that a CustomOp* is an Op*
  bool shifted;
};

// One node of a graph.
struct Kernel {
  Api api;
  int32_t heads;
  int32_t window;
  int32_t shift;
};

struct Job {
  MgdnWindowAttention attention;
  std::atomic<int32_t> status;
};

inline const Op& self(const CustomOp* op) { return *reinterpret_cast<const Op*>(op); }

inline Status* status_from(const Api& api, int32_t status) {
  if (status == MGDN_OK) {
    return nullptr;
  }
  char text[320];
  snprintf(text, sizeof text,
           "mgdn.WindowAttention: %s (qkv is (N, H, W, 3 * heads * d) and bias (heads, T, T); window "
           "is 4 or 8 and divides H and W; d is at most 64)",
           status == MGDN_UNSUPPORTED_CPU ? mgdn_status_text(status) : "wrong shape or attribute");
  return api.create_status(status == MGDN_UNSUPPORTED_CPU ? FAIL : INVALID_ARGUMENT, text);
}

inline void run_band(void* data, size_t band) {
  Job& job = *static_cast<Job*>(data);
  const int32_t status =
      mgdn_window_attention_run(&job.attention, int64_t(band), int64_t(band) + 1);
  if (status != MGDN_OK) {
    job.status.store(status, std::memory_order_relaxed);
  }
}

inline Status* compute(void* state, KernelContext* context) {
  const Kernel& kernel = *static_cast<const Kernel*>(state);
  const Api& api = kernel.api;
  const Value* inputs[2] = {nullptr, nullptr};
  void* data[2] = {nullptr, nullptr};
  int64_t sizes[RANK] = {};
  int64_t bias[BIAS_RANK] = {};
  for (size_t index = 0; index < 2; ++index) {
    if (Status* failed = api.get_input(context, index, &inputs[index])) {
      return failed;
    }
  }
  bool fit[2] = {};
  if (Status* failed = read_tensor(api, inputs[0], RANK, &data[0], sizes, &fit[0])) {
    return failed;
  }
  if (Status* failed = read_tensor(api, inputs[1], BIAS_RANK, &data[1], bias, &fit[1])) {
    return failed;
  }
  const int64_t tokens = int64_t(kernel.window) * kernel.window;
  const int64_t triple = 3 * int64_t(kernel.heads);
  if (!fit[0] || !fit[1] || bias[0] != kernel.heads || bias[1] != tokens || bias[2] != tokens || sizes[3] % triple ||
      sizes[3] / triple > INT32_MAX) {
    return status_from(api, MGDN_BAD_SHAPE);
  }
  const int64_t shape[RANK] = {sizes[0], sizes[1], sizes[2], sizes[3] / 3};
  Value* output = nullptr;
  void* out = nullptr;
  if (Status* failed = api.get_output(context, 0, shape, RANK, &output)) {
    return failed;
  }
  if (Status* failed = api.get_data(output, &out)) {
    return failed;
  }
  Job job;
  job.attention = {static_cast<const float*>(data[0]),
                   static_cast<const float*>(data[1]),
                   static_cast<float*>(out),
                   sizes[0],
                   sizes[1],
                   sizes[2],
                   kernel.heads,
                   int32_t(sizes[3] / triple),
                   kernel.window,
                   kernel.shift,
                   MGDN_BEST};
  job.status.store(MGDN_OK, std::memory_order_relaxed);
  int64_t bands = 0;
  if (Status* failed = status_from(api, mgdn_window_attention_bands(&job.attention, &bands))) {
    return failed;
  }
  if (Status* failed = api.parallel_for(context, run_band, size_t(bands), &job)) {
    return failed;
  }
  return status_from(api, job.status.load(std::memory_order_relaxed));
}

inline Status* create_kernel(const CustomOp* op, const void* table, const KernelInfo* info,
                             void** kernel) {
  const Api api(table);
  int64_t heads = 0;
  int64_t window = 0;
  if (Status* failed = api.get_attribute(info, "heads", &heads)) {
    return failed;
  }
  if (Status* failed = api.get_attribute(info, "window", &window)) {
    return failed;
  }
  if (heads < 1 || heads > INT32_MAX || (window != 4 && window != 8)) {
    return status_from(api, MGDN_BAD_ATTRIBUTE);
  }
  void* memory = malloc(sizeof(Kernel));
  if (!memory) {
    return api.create_status(FAIL, "mgdn.WindowAttention: out of memory");
  }
  const Kernel made = {api, int32_t(heads), int32_t(window),
                       self(op).shifted ? int32_t(window / 2) : 0};
  memcpy(memory, &made, sizeof made);
  *kernel = memory;
  return nullptr;
}

inline Op make_op(bool shifted) {
  CustomOp op = plain_cpu_operation();
  op.get_name = [](const CustomOp* op) {
    return self(op).shifted ? "ShiftedWindowAttention" : "WindowAttention";
  };
  op.get_input_type_count = [](const CustomOp*) { return size_t(2); };
  op.get_output_type_count = [](const CustomOp*) { return size_t(1); };
  op.kernel_destroy = [](void* kernel) { free(kernel); };
  op.create_kernel_v2 = create_kernel;
  op.kernel_compute_v2 = compute;
  return {op, shifted};
}

}  // namespace attention
