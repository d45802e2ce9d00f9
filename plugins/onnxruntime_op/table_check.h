// Whether a runtime's function table is that of onnxruntime_abi.h, tried without a session.
#pragma once

#include <string.h>

#include "onnxruntime_abi.h"

namespace onnxruntime_abi {

// The stream's entry needs a running kernel, but its neighbours do not: a tensor must have a value
// (the entry before) and lie in the memory it was made with (the entry behind).
inline bool stream_is_between_its_neighbours(const Api& api) {
  float data = 0.0f;
  const int64_t size = 1;
  MemoryInfo* memory = nullptr;
  Value* value = nullptr;
  const MemoryInfo* found = nullptr;
  int present = 0;
  int difference = 1;
  Status* status = api.create_cpu_memory_info(&memory);
  if (!status) {
    status = api.create_tensor(memory, &data, sizeof data, &size, 1, FLOAT, &value);
  }
  if (!status) {
    status = api.has_value(value, &present);
  }
  if (!status) {
    status = api.get_memory_info(value, &found);
  }
  if (!status && found) {
    status = api.compare_memory_info(memory, found, &difference);
  }
  const bool passed = !status && present == 1 && difference == 0;
  if (status) {
    api.release_status(status);
  }
  if (value) {
    api.release_value(value);
  }
  if (memory) {
    api.release_memory_info(memory);
  }
  return passed;
}

// nullptr, or what is wrong with the table: every entry used must be there, and a status must come
// back as it was made.
inline Status* check_table(const Api& api) {
  static const char PROBE[] = "mgdn probe";
  static constexpr TableIndex USED[] = {
      CREATE_STATUS,
      GET_ERROR_CODE,
      GET_ERROR_MESSAGE,
      CREATE_CUSTOM_OP_DOMAIN,
      CUSTOM_OP_DOMAIN_ADD,
      ADD_CUSTOM_OP_DOMAIN,
      CREATE_TENSOR_WITH_DATA,
      GET_TENSOR_MUTABLE_DATA,
      GET_DIMENSIONS_COUNT,
      GET_DIMENSIONS,
      GET_TENSOR_TYPE_AND_SHAPE,
      CREATE_CPU_MEMORY_INFO,
      COMPARE_MEMORY_INFO,
      KERNEL_INFO_GET_ATTRIBUTE_INT64,
      KERNEL_CONTEXT_GET_INPUT,
      KERNEL_CONTEXT_GET_OUTPUT,
      RELEASE_STATUS,
      RELEASE_MEMORY_INFO,
      RELEASE_VALUE,
      RELEASE_TENSOR_TYPE_AND_SHAPE_INFO,
      HAS_VALUE,
      KERNEL_CONTEXT_GET_GPU_COMPUTE_STREAM,
      GET_TENSOR_MEMORY_INFO,
      HAS_SESSION_CONFIG_ENTRY,
      SHAPE_INFER_CONTEXT_GET_INPUT_TYPE_SHAPE,
      SHAPE_INFER_CONTEXT_SET_OUTPUT_TYPE_SHAPE,
      KERNEL_CONTEXT_PARALLEL_FOR,
  };
  for (TableIndex index : USED) {
    if (!api.has(index)) {
      return api.create_status(FAIL, "mgdn: this ONNX Runtime lacks functions of its version 1.17");
    }
  }
  Status* probe = api.create_status(INVALID_ARGUMENT, PROBE);
  const bool same = probe && api.get_error_code(probe) == INVALID_ARGUMENT &&
                    strcmp(api.get_error_message(probe), PROBE) == 0;
  if (!same || !stream_is_between_its_neighbours(api)) {
    return api.create_status(FAIL, "mgdn: this ONNX Runtime's function table is not that of 1.17");
  }
  api.release_status(probe);
  return nullptr;
}

}  // namespace onnxruntime_abi
