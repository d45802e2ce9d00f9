// mgdn::NormalizedLinear and mgdn::ResidualMlp version 1 for ONNX Runtime's CPU provider: fetch
// pointers and shapes, call the C interface on the runtime's own threads. No arithmetic here.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>

#include "mgdn.h"
#include "tensor.h"

namespace tokens {

using namespace onnxruntime_abi;

// Inputs in their order, C values a token and M hidden ones. NormalizedLinear has the first five.
enum Input { X, SCALE, SHIFT, WEIGHT1, BIAS1, WEIGHT2, BIAS2, A, WEIGHT0, BIAS0, MLP_INPUTS };
constexpr size_t LINEAR_INPUTS = 5;
constexpr size_t RANKS[MLP_INPUTS] = {4, 1, 1, 2, 1, 2, 1, 4, 2, 1};
constexpr size_t IMAGE_RANK = 4;

// The runtime hands this pointer back to every function of the operation.
struct Op {
  CustomOp op;  // first, so that a CustomOp* is an Op*
  bool mlp;
};

struct Kernel {
  Api api;
  bool mlp;
};

struct Job {
  MgdnTokenLayer layer;
  std::atomic<int32_t> status;
};

inline const Op& self(const CustomOp* op) { return *reinterpret_cast<const Op*>(op); }

inline Status* status_from(const Kernel& kernel, int32_t status) {
  if (status == MGDN_OK) {
    return nullptr;
  }
  char text[320];
  snprintf(text, sizeof text,
           "mgdn.%s: %s (x is (N, H, W, C) with C at most 64; weights are (C, M), (M, C) and (C, C) "
           "with M at most 256)",
           kernel.mlp ? "ResidualMlp" : "NormalizedLinear",
           status == MGDN_UNSUPPORTED_CPU ? mgdn_status_text(status) : "wrong shape");
  return kernel.api.create_status(status == MGDN_UNSUPPORTED_CPU ? FAIL : INVALID_ARGUMENT, text);
}

// What the graph gives a node: pointers, and whether all sizes belong together.
struct Operands {
  const float* data[MLP_INPUTS];
  int64_t sizes[MLP_INPUTS][IMAGE_RANK];
  bool fit;
};

inline Status* read_operands(const Kernel& kernel, KernelContext* context, Operands* operands) {
  const size_t count = kernel.mlp ? size_t(MLP_INPUTS) : LINEAR_INPUTS;
  memset(operands, 0, sizeof *operands);
  operands->fit = true;
  for (size_t index = 0; index < count; ++index) {
    const Value* value = nullptr;
    void* data = nullptr;
    bool fits = true;
    if (Status* failed = kernel.api.get_input(context, index, &value)) {
      return failed;
    }
    if (Status* failed = read_tensor(kernel.api, value, RANKS[index], &data,
                                     operands->sizes[index], &fits)) {
      return failed;
    }
    operands->data[index] = static_cast<const float*>(data);
    operands->fit = operands->fit && fits;
  }
  const int64_t channels = operands->sizes[X][3];
  const int64_t hidden = operands->sizes[BIAS1][0];
  const int64_t wanted[MLP_INPUTS][2] = {{0, 0},      {channels, 0}, {channels, 0},
                                         {channels, hidden}, {hidden, 0}, {hidden, channels},
                                         {channels, 0}, {0, 0}, {channels, channels}, {channels, 0}};
  for (size_t index = SCALE; index < count; ++index) {
    const bool image = RANKS[index] == IMAGE_RANK;
    operands->fit = operands->fit &&
                    !memcmp(operands->sizes[index], image ? operands->sizes[X] : wanted[index],
                            sizeof(int64_t) * (image ? IMAGE_RANK : 2));
  }
  return nullptr;
}

inline void run_band(void* data, size_t band) {
  Job& job = *static_cast<Job*>(data);
  const int32_t status = mgdn_token_layer_run(&job.layer, int64_t(band), int64_t(band) + 1);
  if (status != MGDN_OK) {
    job.status.store(status, std::memory_order_relaxed);
  }
}

// Output `index`, of x's sizes but for the last one.
inline Status* make_output(const Kernel& kernel, KernelContext* context, size_t index,
                           const Operands& operands, int64_t width, float** data) {
  const int64_t* x = operands.sizes[X];
  const int64_t shape[IMAGE_RANK] = {x[0], x[1], x[2], width};
  Value* output = nullptr;
  void* found = nullptr;
  if (Status* failed = kernel.api.get_output(context, index, shape, IMAGE_RANK, &output)) {
    return failed;
  }
  Status* status = kernel.api.get_data(output, &found);
  *data = static_cast<float*>(found);
  return status;
}

inline Status* compute(void* state, KernelContext* context) {
  const Kernel& kernel = *static_cast<const Kernel*>(state);
  Operands operands;
  if (Status* failed = read_operands(kernel, context, &operands)) {
    return failed;
  }
  const int64_t* x = operands.sizes[X];
  const int64_t hidden = operands.sizes[BIAS1][0];
  if (!operands.fit || x[3] > INT32_MAX || hidden > INT32_MAX) {
    return status_from(kernel, MGDN_BAD_SHAPE);
  }
  float* out = nullptr;
  float* normed = nullptr;
  if (Status* failed =
          make_output(kernel, context, 0, operands, kernel.mlp ? x[3] : hidden, &out)) {
    return failed;
  }
  if (!kernel.mlp) {
    if (Status* failed = make_output(kernel, context, 1, operands, x[3], &normed)) {
      return failed;
    }
  }
  const float* const* data = operands.data;
  Job job;
  job.layer = {data[X],     data[SCALE], data[SHIFT],   data[WEIGHT1], data[BIAS1],
               data[WEIGHT2], data[BIAS2], data[A],     data[WEIGHT0], data[BIAS0],
               normed,      out,         x[0] * x[1] * x[2], int32_t(x[3]), int32_t(hidden),
               MGDN_BEST};
  job.status.store(MGDN_OK, std::memory_order_relaxed);
  int64_t bands = 0;
  if (Status* failed = status_from(kernel, mgdn_token_layer_bands(&job.layer, &bands))) {
    return failed;
  }
  if (Status* failed = kernel.api.parallel_for(context, run_band, size_t(bands), &job)) {
    return failed;
  }
  return status_from(kernel, job.status.load(std::memory_order_relaxed));
}

inline Status* create_kernel(const CustomOp* op, const void* table, const KernelInfo*,
                             void** kernel) {
  const Api api(table);
  void* memory = malloc(sizeof(Kernel));
  if (!memory) {
    return api.create_status(FAIL, "mgdn: out of memory");
  }
  const Kernel made = {api, self(op).mlp};
  memcpy(memory, &made, sizeof made);
  *kernel = memory;
  return nullptr;
}

inline Op make_op(bool mlp) {
  CustomOp op = plain_cpu_operation();
  op.get_name = [](const CustomOp* op) {
    return self(op).mlp ? "ResidualMlp" : "NormalizedLinear";
  };
  op.get_input_type_count = [](const CustomOp* op) {
    return self(op).mlp ? size_t(MLP_INPUTS) : LINEAR_INPUTS;
  };
  op.get_output_type_count = [](const CustomOp* op) { return size_t(self(op).mlp ? 1 : 2); };
  op.kernel_destroy = [](void* kernel) { free(kernel); };
  op.create_kernel_v2 = create_kernel;
  op.kernel_compute_v2 = compute;
  return {op, mlp};
}

}  // namespace tokens
