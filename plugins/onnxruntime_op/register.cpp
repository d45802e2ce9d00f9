// mgdn::DynamicFilter version 1 for ONNX Runtime's CPU provider: fetches pointers and shapes, calls
// the C interface on the runtime's own threads. No arithmetic here.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>

#include "attention_op.h"
#include "mgdn.h"
#include "onnxruntime_abi.h"

namespace {

using namespace onnxruntime_abi;

constexpr const char* DOMAIN_NAME = "mgdn";
constexpr const char* OPERATION = "DynamicFilter";
constexpr int OPERATION_VERSION = 1;
constexpr size_t RANK = 4;

// The runtime hands this pointer back to every function of the operation.
struct DynamicFilterOp {
  CustomOp op;  // first, so that a CustomOp* is a DynamicFilterOp*
  MgdnStorage storage;
  const void* table;  // for infer_output_shape, which is given none
};

// One node of a graph.
struct Kernel {
  Api api;
  MgdnStorage storage;
  int32_t kernel_size;
  int32_t upscale;
};

struct Job {
  MgdnDynamicFilter filter;
  std::atomic<int32_t> status;
};

const DynamicFilterOp& self(const CustomOp* op) {
  return *reinterpret_cast<const DynamicFilterOp*>(op);
}

ElementType element_type(const CustomOp* op) {
  return self(op).storage == MGDN_FLOAT16 ? FLOAT16 : FLOAT;
}

// Pointer and sizes of a tensor of rank 4.
Status* read_tensor(const Api& api, const Value* value, void** data, int64_t (&sizes)[RANK]) {
  TensorInfo* info = nullptr;
  if (Status* failed = api.get_tensor_info(value, &info)) {
    return failed;
  }
  size_t rank = 0;
  Status* status = api.get_dimensions_count(info, &rank);
  if (!status && rank != RANK) {
    status = api.create_status(INVALID_ARGUMENT,
                               "mgdn.DynamicFilter: feature and kernel must be (N, C, H, W)");
  }
  if (!status) {
    status = api.get_dimensions(info, sizes, RANK);
  }
  if (!status) {
    status = api.get_data(value, data);
  }
  api.release_tensor_info(info);
  return status;
}

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
  return api.create_status(status == MGDN_UNSUPPORTED_CPU ? FAIL : INVALID_ARGUMENT, text);
}

void run_band(void* data, size_t band) {
  Job& job = *static_cast<Job*>(data);
  const int64_t first = int64_t(band);
  const int32_t status = mgdn_dynamic_filter_run(&job.filter, first, first + 1);
  if (status != MGDN_OK) {
    job.status.store(status, std::memory_order_relaxed);
  }
}

Status* compute(void* state, KernelContext* context) {
  const Kernel& kernel = *static_cast<const Kernel*>(state);
  const Api& api = kernel.api;
  const Value* inputs[2] = {nullptr, nullptr};
  void* data[2] = {nullptr, nullptr};
  int64_t sizes[2][RANK] = {};
  for (size_t index = 0; index < 2; ++index) {
    if (Status* failed = api.get_input(context, index, &inputs[index])) {
      return failed;
    }
    if (Status* failed = read_tensor(api, inputs[index], &data[index], sizes[index])) {
      return failed;
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
  Job job;
  job.filter = {data[0],      data[1],      out,
                sizes[0][0],  sizes[0][1],  sizes[0][2],
                sizes[0][3],  kernel.kernel_size, kernel.upscale,
                kernel.storage, MGDN_BEST};
  job.status.store(MGDN_OK, std::memory_order_relaxed);
  int64_t bands = 0;
  if (Status* failed = status_from(api, mgdn_dynamic_filter_bands(&job.filter, &bands))) {
    return failed;
  }
  if (Status* failed = api.parallel_for(context, run_band, size_t(bands), &job)) {
    return failed;
  }
  return status_from(api, job.status.load(std::memory_order_relaxed));
}

Status* create_kernel(const CustomOp* op, const void* table, const KernelInfo* info,
                      void** kernel) {
  const Api api(table);
  int64_t kernel_size = 0;
  int64_t upscale = 1;
  if (Status* failed = api.get_attribute(info, "kernel_size", &kernel_size)) {
    return failed;
  }
  if (Status* absent = api.get_attribute(info, "upscale", &upscale)) {
    api.release_status(absent);
    upscale = 1;  // the attribute's default
  }
  if ((kernel_size != 3 && kernel_size != 5 && kernel_size != 7) ||
      (upscale != 1 && upscale != 2 && upscale != 4)) {
    return status_from(api, MGDN_BAD_ATTRIBUTE);
  }
  void* memory = malloc(sizeof(Kernel));
  if (!memory) {
    return api.create_status(FAIL, "mgdn.DynamicFilter: out of memory");
  }
  const Kernel made = {api, self(op).storage, int32_t(kernel_size), int32_t(upscale)};
  memcpy(memory, &made, sizeof made);
  *kernel = memory;
  return nullptr;
}

// The output's type and shape are the feature's.
Status* infer_output_shape(const CustomOp* op, ShapeInferContext* context) {
  const Api api(self(op).table);
  TensorInfo* info = nullptr;
  if (Status* failed = api.get_input_type_shape(context, 0, &info)) {
    return failed;
  }
  return api.set_output_type_shape(context, 0, info);
}

DynamicFilterOp make_op(MgdnStorage storage, const void* table) {
  CustomOp op = {};
  op.version = TABLE_VERSION;
  op.get_name = [](const CustomOp*) { return OPERATION; };
  op.get_execution_provider_type = [](const CustomOp*) { return "CPUExecutionProvider"; };
  op.get_input_type = [](const CustomOp* op, size_t) { return element_type(op); };
  op.get_input_type_count = [](const CustomOp*) { return size_t(2); };
  op.get_output_type = [](const CustomOp* op, size_t) { return element_type(op); };
  op.get_output_type_count = [](const CustomOp*) { return size_t(1); };
  op.kernel_destroy = [](void* kernel) { free(kernel); };
  op.get_input_characteristic = [](const CustomOp*, size_t) { return REQUIRED; };
  op.get_output_characteristic = [](const CustomOp*, size_t) { return REQUIRED; };
  op.get_input_memory_type = [](const CustomOp*, size_t) { return DEFAULT_MEMORY; };
  op.get_variadic_input_min_arity = [](const CustomOp*) { return 1; };
  op.get_variadic_input_homogeneity = [](const CustomOp*) { return 1; };
  op.get_variadic_output_min_arity = [](const CustomOp*) { return 1; };
  op.get_variadic_output_homogeneity = [](const CustomOp*) { return 1; };
  op.create_kernel_v2 = create_kernel;
  op.kernel_compute_v2 = compute;
  op.infer_output_shape = infer_output_shape;
  op.get_start_version = [](const CustomOp*) { return OPERATION_VERSION; };
  op.get_end_version = [](const CustomOp*) { return OPERATION_VERSION; };
  return {op, storage, table};
}

// nullptr, or what is wrong with the table: a status must come back as it was made, and every
// entry used must be there.
Status* check_table(const Api& api) {
  static const char PROBE[] = "mgdn probe";
  static constexpr TableIndex USED[] = {
       CREATE_STATUS, GET_ERROR_CODE, GET_ERROR_MESSAGE, CREATE_CUSTOM_OP_DOMAIN,
        CUSTOM_OP_DOMAIN_ADD, ADD_CUSTOM_OP_DOMAIN, GET_TENSOR_MUTABLE_DATA, GET_DIMENSIONS_COUNT,
        GET_DIMENSIONS, GET_TENSOR_TYPE_AND_SHAPE, KERNEL_INFO_GET_ATTRIBUTE_INT64,
        KERNEL_CONTEXT_GET_INPUT, KERNEL_CONTEXT_GET_OUTPUT, RELEASE_STATUS,
        RELEASE_TENSOR_TYPE_AND_SHAPE_INFO, SHAPE_INFER_CONTEXT_GET_INPUT_TYPE_SHAPE,
        SHAPE_INFER_CONTEXT_SET_OUTPUT_TYPE_SHAPE, KERNEL_CONTEXT_PARALLEL_FOR};
  for (TableIndex index : USED) {
    if (!api.has(index)) {
      return api.create_status(FAIL, "mgdn: this ONNX Runtime lacks functions of its version 1.17");
    }
  }
  Status* probe = api.create_status(INVALID_ARGUMENT, PROBE);
  if (!probe || api.get_error_code(probe) != INVALID_ARGUMENT ||
      strcmp(api.get_error_message(probe), PROBE) != 0) {
    return api.create_status(FAIL, "mgdn: this ONNX Runtime's function table is not that of 1.17");
  }
  api.release_status(probe);
  return nullptr;
}

// Operations and their domain, kept for the life of the process: sessions refer to them.
struct Registration {
  DynamicFilterOp ops[2];
  attention::Op attention_ops[2];
  CustomOpDomain* domain;
};

std::atomic<Registration*> registered{nullptr};

Status* make_registration(const Api& api, const void* table, Registration** result) {
  Registration* made = static_cast<Registration*>(malloc(sizeof(Registration)));
  if (!made) {
    return api.create_status(FAIL, "mgdn: out of memory");
  }
  made->ops[0] = make_op(MGDN_FLOAT32, table);
  made->ops[1] = make_op(MGDN_FLOAT16, table);
  made->attention_ops[0] = attention::make_op(false);
  made->attention_ops[1] = attention::make_op(true);
  Status* status = api.create_custom_op_domain(DOMAIN_NAME, &made->domain);
  for (const DynamicFilterOp& each : made->ops) {
    if (!status) {
      status = api.custom_op_domain_add(made->domain, &each.op);
    }
  }
  for (const attention::Op& each : made->attention_ops) {
    if (!status) {
      status = api.custom_op_domain_add(made->domain, &each.op);
    }
  }
  if (status) {
    free(made);
    return status;
  }
  *result = made;
  return nullptr;
}

}  // namespace

// Called by the runtime for SessionOptions.register_custom_ops_library. A runtime before 1.17 has
// no table to make a status from and gets a line on stderr: nullptr would claim success.
extern "C" MGDN_EXPORT Status* RegisterCustomOps(SessionOptions* options, const ApiBase* base) {
  const void* table = base->get_api(TABLE_VERSION);
  if (!table) {
    const char* version = base->get_version_string();
    if (const void* oldest = base->get_api(1)) {
      char text[160];
      snprintf(text, sizeof text, "mgdn: ONNX Runtime %s is older than 1.17", version);
      return Api(oldest).create_status(FAIL, text);
    }
    fprintf(stderr, "mgdn: ONNX Runtime %s hands out no function table\n", version);
    return nullptr;
  }
  const Api api(table);
  if (Status* failed = check_table(api)) {
    return failed;
  }
  Registration* current = registered.load(std::memory_order_acquire);
  if (!current) {
    if (Status* failed = make_registration(api, table, &current)) {
      return failed;
    }
    Registration* none = nullptr;
    // A thread that lost the race leaves its copy behind: a few hundred bytes, once.
    if (!registered.compare_exchange_strong(none, current, std::memory_order_acq_rel)) {
      current = none;
    }
  }
  return api.add_custom_op_domain(options, current->domain);
}
