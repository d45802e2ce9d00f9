// What every operation of this library shares towards ONNX Runtime: a tensor's pointer and sizes,
// and the members of CustomOp that say "nothing special".
#pragma once

#include "onnxruntime_abi.h"

namespace onnxruntime_abi {

// Pointer and sizes of a tensor of rank `rank`; `fits` becomes false for any other rank.
inline Status* read_tensor(const Api& api, const Value* value, size_t rank, void** data,
                           int64_t* sizes, bool* fits) {
  TensorInfo* info = nullptr;
  if (Status* failed = api.get_tensor_info(value, &info)) {
    return failed;
  }
  size_t found = 0;
  Status* status = api.get_dimensions_count(info, &found);
  *fits = !status && found == rank;
  if (*fits) {
    status = api.get_dimensions(info, sizes, rank);
  }
  if (!status) {
    status = api.get_data(value, data);
  }
  api.release_tensor_info(info);
  return status;
}

// Version 1 of an operation whose inputs and outputs are all required and in the provider's memory.
inline CustomOp plain_operation() {
  CustomOp op = {};
  op.version = TABLE_VERSION;
  op.get_input_characteristic = [](const CustomOp*, size_t) { return REQUIRED; };
  op.get_output_characteristic = [](const CustomOp*, size_t) { return REQUIRED; };
  op.get_input_memory_type = [](const CustomOp*, size_t) { return DEFAULT_MEMORY; };
  op.get_variadic_input_min_arity = [](const CustomOp*) { return 1; };
  op.get_variadic_input_homogeneity = [](const CustomOp*) { return 1; };
  op.get_variadic_output_min_arity = [](const CustomOp*) { return 1; };
  op.get_variadic_output_homogeneity = [](const CustomOp*) { return 1; };
  op.get_start_version = [](const CustomOp*) { return 1; };
  op.get_end_version = [](const CustomOp*) { return 1; };
  return op;
}

// The same for float32 on the CPU provider, as the operations beside DynamicFilter are.
inline CustomOp plain_cpu_operation() {
  CustomOp op = plain_operation();
  op.get_execution_provider_type = [](const CustomOp*) { return "CPUExecutionProvider"; };
  op.get_input_type = [](const CustomOp*, size_t) { return FLOAT; };
  op.get_output_type = [](const CustomOp*, size_t) { return FLOAT; };
  return op;
}

}  // namespace onnxruntime_abi
