// mgdn::DynamicFilter version 1 for ONNX Runtime's CPU provider and, in a build with CUDA, for its
// CUDA provider: fetches pointers and shapes and calls the C interface, on the runtime's own
// threads or on its stream. No arithmetic here.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>

#include "attention_op.h"
#include "mgdn.h"
#include "node.h"
#include "table_check.h"
#include "token_op.h"

#ifdef MGDN_CUDA_ARCHITECTURES
#include "dynamic_filter_cuda.h"
#endif

namespace {

using namespace onnxruntime_abi;

constexpr const char* DOMAIN_NAME = "mgdn";
constexpr const char* OPERATION = "DynamicFilter";

enum Provider { CPU, CUDA };
#ifdef MGDN_CUDA_ARCHITECTURES
constexpr Provider PROVIDERS[] = {CPU, CUDA};
#else
constexpr Provider PROVIDERS[] = {CPU};
#endif
constexpr MgdnStorage STORAGES[] = {MGDN_FLOAT32, MGDN_FLOAT16};

// The runtime hands this pointer back to every function of the operation.
struct DynamicFilterOp {
  CustomOp op;  // first, so that a CustomOp* is a DynamicFilterOp*
  MgdnStorage storage;
  Provider provider;
  const void* table;  // for infer_output_shape, which is given none
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
  Job job;
  if (Status* failed = read_filter(kernel, context, &job.filter)) {
    return failed;
  }
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

#ifdef MGDN_CUDA_ARCHITECTURES
// The runtime has made its device current and given tensors in that device's memory.
Status* compute_on_cuda(void* state, KernelContext* context) {
  const Kernel& kernel = *static_cast<const Kernel*>(state);
  MgdnDynamicFilter filter;
  void* stream = nullptr;
  if (Status* failed = read_filter(kernel, context, &filter)) {
    return failed;
  }
  if (Status* failed = kernel.api.get_gpu_stream(context, &stream)) {
    return failed;
  }
  return status_from(kernel.api, mgdn_dynamic_filter_enqueue(&filter, stream));
}
#endif

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

DynamicFilterOp make_op(Provider provider, MgdnStorage storage, const void* table) {
  CustomOp op = plain_operation();
  op.get_name = [](const CustomOp*) { return OPERATION; };
  op.get_execution_provider_type = [](const CustomOp* op) {
    return self(op).provider == CPU ? "CPUExecutionProvider" : "CUDAExecutionProvider";
  };
  op.get_input_type = [](const CustomOp* op, size_t) { return element_type(op); };
  op.get_input_type_count = [](const CustomOp*) { return size_t(2); };
  op.get_output_type = [](const CustomOp* op, size_t) { return element_type(op); };
  op.get_output_type_count = [](const CustomOp*) { return size_t(1); };
  op.kernel_destroy = [](void* kernel) { free(kernel); };
  op.create_kernel_v2 = create_kernel;
  op.kernel_compute_v2 = compute;
#ifdef MGDN_CUDA_ARCHITECTURES
  if (provider == CUDA) {
    op.kernel_compute_v2 = compute_on_cuda;
  }
#endif
  op.infer_output_shape = infer_output_shape;
  return {op, storage, provider, table};
}

// A session with this entry gets DynamicFilter only: with another provider than the CPU's, the
// operations that have no kernel there are faster as function bodies than fetched back to the host.
constexpr const char* FILTER_ONLY = "mgdn.filter_only";

// Operations and their domains, kept for the life of the process: sessions refer to them.
struct Registration {
  DynamicFilterOp ops[sizeof PROVIDERS / sizeof *PROVIDERS][2];
  attention::Op attention_ops[2];
  tokens::Op token_ops[2];
  CustomOpDomain* everything;
  CustomOpDomain* filter_only;
};

std::atomic<Registration*> registered{nullptr};

Status* make_registration(const Api& api, const void* table, Registration** result) {
  Registration* made = static_cast<Registration*>(malloc(sizeof(Registration)));
  if (!made) {
    return api.create_status(FAIL, "mgdn: out of memory");
  }
  Status* status = api.create_custom_op_domain(DOMAIN_NAME, &made->everything);
  if (!status) {
    status = api.create_custom_op_domain(DOMAIN_NAME, &made->filter_only);
  }
  auto add = [&](CustomOpDomain* domain, const CustomOp* op) {
    if (!status) {
      status = api.custom_op_domain_add(domain, op);
    }
  };
  for (Provider provider : PROVIDERS) {
    for (MgdnStorage storage : STORAGES) {
      DynamicFilterOp& op = made->ops[provider][storage];
      op = make_op(provider, storage, table);
      add(made->everything, &op.op);
      add(made->filter_only, &op.op);
    }
  }
  for (int second = 0; second < 2; ++second) {
    made->attention_ops[second] = attention::make_op(second);
    made->token_ops[second] = tokens::make_op(second);
    add(made->everything, &made->attention_ops[second].op);
    add(made->everything, &made->token_ops[second].op);
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
  int filter_only = 0;
  if (Status* failed = api.has_config_entry(options, FILTER_ONLY, &filter_only)) {
    return failed;
  }
  return api.add_custom_op_domain(options, filter_only ? current->filter_only : current->everything);
}
