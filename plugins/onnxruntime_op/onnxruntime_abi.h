// The slice of ONNX Runtime's C interface that a custom operation needs, declared here because no
// package ships its header.
//
// The interface is a table of function pointers, append-only since version 1: an entry's index
// never changes, and a runtime of version 1.n hands out the table of every version up to n. The
// facts are those of onnxruntime/core/session/onnxruntime_c_api.h as of ONNX Runtime 1.17 (table
// version 17, the first with KernelContext_ParallelFor): struct layouts, argument orders and the
// indices below, which count the entries of `struct OrtApi` from 0. The runtime's own source
// asserts several of them, such as ReleaseCustomOpDomain at 101, so that they cannot move.
// table_check.h checks the runtime found against them before the table is used.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace onnxruntime_abi {

constexpr uint32_t TABLE_VERSION = 17;

struct Status;              // nullptr is success; otherwise owned by who receives it
struct SessionOptions;
struct CustomOpDomain;
struct KernelInfo;
struct KernelContext;
struct ShapeInferContext;
struct Value;
struct MemoryInfo;
struct TensorInfo;          // OrtTensorTypeAndShapeInfo

enum ErrorCode : int32_t { FAIL = 1, INVALID_ARGUMENT = 2 };
enum ElementType : int32_t { FLOAT = 1, FLOAT16 = 10 };
enum MemoryType : int32_t { DEFAULT_MEMORY = 0 };
enum AllocatorType : int32_t { DEVICE_ALLOCATOR = 0 };
enum Characteristic : int32_t { REQUIRED = 0 };

enum TableIndex : size_t {
  CREATE_STATUS = 0,
  GET_ERROR_CODE = 1,
  GET_ERROR_MESSAGE = 2,
  CREATE_CUSTOM_OP_DOMAIN = 26,
  CUSTOM_OP_DOMAIN_ADD = 27,
  ADD_CUSTOM_OP_DOMAIN = 28,
  CREATE_TENSOR_WITH_DATA = 49,
  GET_TENSOR_MUTABLE_DATA = 51,
  GET_DIMENSIONS_COUNT = 61,
  GET_DIMENSIONS = 62,
  GET_TENSOR_TYPE_AND_SHAPE = 65,
  CREATE_CPU_MEMORY_INFO = 69,
  COMPARE_MEMORY_INFO = 70,
  KERNEL_INFO_GET_ATTRIBUTE_INT64 = 86,
  KERNEL_CONTEXT_GET_INPUT = 90,
  KERNEL_CONTEXT_GET_OUTPUT = 91,
  RELEASE_STATUS = 93,
  RELEASE_MEMORY_INFO = 94,
  RELEASE_VALUE = 96,
  RELEASE_TENSOR_TYPE_AND_SHAPE_INFO = 99,
  HAS_VALUE = 192,
  KERNEL_CONTEXT_GET_GPU_COMPUTE_STREAM = 193,
  GET_TENSOR_MEMORY_INFO = 194,
  HAS_SESSION_CONFIG_ENTRY = 237,
  SHAPE_INFER_CONTEXT_GET_INPUT_TYPE_SHAPE = 268,
  SHAPE_INFER_CONTEXT_SET_OUTPUT_TYPE_SHAPE = 270,
  KERNEL_CONTEXT_PARALLEL_FOR = 274,
};

// Typed views of the table's entries; names and arguments as in struct OrtApi.
class Api {
 public:
  explicit Api(const void* table) : entries_(static_cast<const void* const*>(table)) {}

  bool has(TableIndex index) const { return entries_[index] != nullptr; }

  Status* create_status(ErrorCode code, const char* text) const {
    return call<Status*>(CREATE_STATUS, int32_t(code), text);
  }
  int32_t get_error_code(const Status* status) const {
    return call<int32_t>(GET_ERROR_CODE, status);
  }
  const char* get_error_message(const Status* status) const {
    return call<const char*>(GET_ERROR_MESSAGE, status);
  }
  void release_status(Status* status) const { call<void>(RELEASE_STATUS, status); }

  Status* create_custom_op_domain(const char* name, CustomOpDomain** domain) const {
    return call<Status*>(CREATE_CUSTOM_OP_DOMAIN, name, domain);
  }
  Status* custom_op_domain_add(CustomOpDomain* domain, const struct CustomOp* op) const {
    return call<Status*>(CUSTOM_OP_DOMAIN_ADD, domain, op);
  }
  Status* add_custom_op_domain(SessionOptions* options, CustomOpDomain* domain) const {
    return call<Status*>(ADD_CUSTOM_OP_DOMAIN, options, domain);
  }

  // `present` becomes 1 if the options have an entry of that name.
  Status* has_config_entry(const SessionOptions* options, const char* name, int* present) const {
    return call<Status*>(HAS_SESSION_CONFIG_ENTRY, options, name, present);
  }

  Status* get_attribute(const KernelInfo* info, const char* name, int64_t* value) const {
    return call<Status*>(KERNEL_INFO_GET_ATTRIBUTE_INT64, info, name, value);
  }
  Status* get_input(const KernelContext* context, size_t index, const Value** value) const {
    return call<Status*>(KERNEL_CONTEXT_GET_INPUT, context, index, value);
  }
  Status* get_output(KernelContext* context, size_t index, const int64_t* sizes, size_t count,
                     Value** value) const {
    return call<Status*>(KERNEL_CONTEXT_GET_OUTPUT, context, index, sizes, count, value);
  }
  Status* get_data(const Value* value, void** data) const {
    return call<Status*>(GET_TENSOR_MUTABLE_DATA, const_cast<Value*>(value), data);
  }
  Status* get_tensor_info(const Value* value, TensorInfo** info) const {
    return call<Status*>(GET_TENSOR_TYPE_AND_SHAPE, value, info);
  }
  Status* get_dimensions_count(const TensorInfo* info, size_t* count) const {
    return call<Status*>(GET_DIMENSIONS_COUNT, info, count);
  }
  Status* get_dimensions(const TensorInfo* info, int64_t* sizes, size_t count) const {
    return call<Status*>(GET_DIMENSIONS, info, sizes, count);
  }
  void release_tensor_info(TensorInfo* info) const {
    call<void>(RELEASE_TENSOR_TYPE_AND_SHAPE_INFO, info);
  }

  // The CUDA provider's cudaStream_t; nullptr for its default stream and for other providers.
  Status* get_gpu_stream(const KernelContext* context, void** stream) const {
    return call<Status*>(KERNEL_CONTEXT_GET_GPU_COMPUTE_STREAM, context, stream);
  }

  Status* create_cpu_memory_info(MemoryInfo** info) const {
    return call<Status*>(CREATE_CPU_MEMORY_INFO, int32_t(DEVICE_ALLOCATOR), int32_t(DEFAULT_MEMORY),
                         info);
  }
  // `equal` becomes 0 if they are.
  Status* compare_memory_info(const MemoryInfo* one, const MemoryInfo* other, int* equal) const {
    return call<Status*>(COMPARE_MEMORY_INFO, one, other, equal);
  }
  void release_memory_info(MemoryInfo* info) const { call<void>(RELEASE_MEMORY_INFO, info); }
  // A tensor over memory that stays the caller's.
  Status* create_tensor(const MemoryInfo* info, void* data, size_t bytes, const int64_t* sizes,
                        size_t count, ElementType type, Value** value) const {
    return call<Status*>(CREATE_TENSOR_WITH_DATA, info, data, bytes, sizes, count, int32_t(type),
                         value);
  }
  Status* has_value(const Value* value, int* present) const {
    return call<Status*>(HAS_VALUE, value, present);
  }
  Status* get_memory_info(const Value* value, const MemoryInfo** info) const {
    return call<Status*>(GET_TENSOR_MEMORY_INFO, value, info);
  }
  void release_value(Value* value) const { call<void>(RELEASE_VALUE, value); }

  // The info stays the context's.
  Status* get_input_type_shape(const ShapeInferContext* context, size_t index,
                               TensorInfo** info) const {
    return call<Status*>(SHAPE_INFER_CONTEXT_GET_INPUT_TYPE_SHAPE, context, index, info);
  }
  Status* set_output_type_shape(const ShapeInferContext* context, size_t index,
                                const TensorInfo* info) const {
    return call<Status*>(SHAPE_INFER_CONTEXT_SET_OUTPUT_TYPE_SHAPE, context, index, info);
  }

  // Runs work(data, i) for i in [0, total) on the runtime's own threads; 0 batches: as it likes.
  Status* parallel_for(const KernelContext* context, void (*work)(void*, size_t), size_t total,
                       void* data) const {
    return call<Status*>(KERNEL_CONTEXT_PARALLEL_FOR, context, work, total, size_t(0), data);
  }

 private:
  template <class Result, class... Arguments>
  Result call(TableIndex index, Arguments... arguments) const {
    using Function = Result (*)(Arguments...);
    return reinterpret_cast<Function>(const_cast<void*>(entries_[index]))(arguments...);
  }

  const void* const* entries_;
};

struct ApiBase {
  const void* (*get_api)(uint32_t version);  // nullptr: the runtime is older than that version
  const char* (*get_version_string)();
};

// OrtCustomOp up to version 17; `version` tells the runtime where it ends. Members this operation
// has no use for (variadic inputs, functions before V2) stay nullptr or say "not variadic".
struct CustomOp {
  uint32_t version;
  void* (*create_kernel)(const CustomOp*, const void* api, const KernelInfo*);
  const char* (*get_name)(const CustomOp*);
  const char* (*get_execution_provider_type)(const CustomOp*);
  ElementType (*get_input_type)(const CustomOp*, size_t index);
  size_t (*get_input_type_count)(const CustomOp*);
  ElementType (*get_output_type)(const CustomOp*, size_t index);
  size_t (*get_output_type_count)(const CustomOp*);
  void (*kernel_compute)(void* kernel, KernelContext*);
  void (*kernel_destroy)(void* kernel);
  Characteristic (*get_input_characteristic)(const CustomOp*, size_t index);
  Characteristic (*get_output_characteristic)(const CustomOp*, size_t index);
  MemoryType (*get_input_memory_type)(const CustomOp*, size_t index);
  int (*get_variadic_input_min_arity)(const CustomOp*);
  int (*get_variadic_input_homogeneity)(const CustomOp*);
  int (*get_variadic_output_min_arity)(const CustomOp*);
  int (*get_variadic_output_homogeneity)(const CustomOp*);
  Status* (*create_kernel_v2)(const CustomOp*, const void* api, const KernelInfo*, void** kernel);
  Status* (*kernel_compute_v2)(void* kernel, KernelContext*);
  Status* (*infer_output_shape)(const CustomOp*, ShapeInferContext*);
  int (*get_start_version)(const CustomOp*);
  int (*get_end_version)(const CustomOp*);
};

}  // namespace onnxruntime_abi
