// The runtime capability: shapes set, clones, and what reaches the launcher.
#include <string.h>

#include "harness.h"

using namespace harness;
using namespace nvinfer1;

namespace {

struct Call {
  PluginTensorDesc in[2];
  PluginTensorDesc out;
};

Call call_of(int32_t k, int32_t s, DataType type = DataType::kFLOAT) {
  return {{tensor({2, 6, 48, 64}, type), tensor({2, k * k, 48 / s, 64 / s}, type)},
          tensor({2, 6, 48, 64}, type)};
}

int32_t change(const Made& made, const Call& call) {
  return made.runtime->onShapeChange(call.in, 2, &call.out, 1);
}

bool equal_attributes(const Made& left, const Made& right) {
  const PluginFieldCollection* a = left.runtime->getFieldsToSerialize();
  const PluginFieldCollection* b = right.runtime->getFieldsToSerialize();
  bool equal = a != b && a->nbFields == b->nbFields;
  for (int32_t index = 0; equal && index < a->nbFields; ++index) {
    equal = a->fields[index].data != b->fields[index].data &&
            !memcmp(a->fields[index].data, b->fields[index].data, sizeof(int32_t));
  }
  return equal;
}

class Context final : public IPluginResourceContext {
 public:
  IGpuAllocator* getGpuAllocator() const noexcept override { return nullptr; }
  IErrorRecorder* getErrorRecorder() const noexcept override { return nullptr; }
};

}  // namespace

CASE(right_shapes_are_taken) {
  Log log;
  for (int32_t kernel_size : {3, 5, 7}) {
    for (int32_t upscale : {1, 2, 4}) {
      for (DataType type : {DataType::kFLOAT, DataType::kHALF}) {
        CHECK(change(make(kernel_size, upscale), call_of(kernel_size, upscale, type)) == 0);
      }
    }
  }
  CHECK(log.errors.empty());
}

CASE(wrong_shapes_are_refused) {
  const Made made = make(5, 2);
  Log log;
  // Each size of each tensor one too large; the output's follow the feature's.
  for (int32_t which = 0; which < 3; ++which) {
    for (int32_t axis = 0; axis < 4; ++axis) {
      Call call = call_of(5, 2);
      PluginTensorDesc& spoilt = which < 2 ? call.in[which] : call.out;
      spoilt.dims.d[axis] += 1;
      const bool channels_alone = which == 0 && axis == 1;  // any number, but the output has it too
      CHECK(change(made, call) != 0);
      CHECK(log.said(which < 2 && !channels_alone ? "(N, K*K, H/s, W/s) is needed"
                                                  : "the same is needed"));
    }
  }
  for (int32_t which = 0; which < 3; ++which) {
    for (int32_t rank : {0, 3, 5, 8, -1}) {
      Call call = call_of(5, 2);
      (which < 2 ? call.in[which] : call.out).dims.nbDims = rank;
      CHECK(change(made, call) != 0);
      CHECK(log.said("is needed"));
    }
  }
  Call unknown = call_of(5, 2);
  unknown.in[0].dims.d[2] = unknown.in[1].dims.d[2] = unknown.out.dims.d[2] = -1;
  CHECK(change(made, unknown) != 0);
  CHECK(log.said("each size at least 1"));
  Call empty = call_of(5, 2);
  empty.in[0].dims.d[0] = empty.in[1].dims.d[0] = empty.out.dims.d[0] = 0;
  CHECK(change(made, empty) != 0);
  CHECK(log.said("each size at least 1"));
}

CASE(wrong_types_and_formats_are_refused) {
  const Made made = make(3, 1);
  Log log;
  for (int32_t which = 0; which < 3; ++which) {
    Call call = call_of(3, 1);
    (which < 2 ? call.in[which] : call.out).type = DataType::kHALF;
    CHECK(change(made, call) != 0);
    CHECK(log.said("all must be kFLOAT (0) or all kHALF (1)"));
    call = call_of(3, 1);
    (which < 2 ? call.in[which] : call.out).format = TensorFormat::kHWC8;
    CHECK(change(made, call) != 0);
    CHECK(log.said("and kLINEAR (0)"));
  }
  CHECK(change(made, call_of(3, 1, DataType::kINT8)) != 0);
  CHECK(log.said("types 2, 2, 2"));
}

CASE(clones_and_attached_plugins_are_their_own) {
  Context context;
  Made made = make(7, 4);
  const Made copy = with_capabilities(made.plugin->clone());
  const Made attached = with_capabilities(made.runtime->attachToContext(&context));
  CHECK(copy.plugin.get() != made.plugin.get() && attached.plugin.get() != made.plugin.get());
  CHECK(equal_attributes(made, copy) && equal_attributes(made, attached));
  made.plugin.reset();  // nothing of it is used by the others
  CHECK(change(copy, call_of(7, 4)) == 0);
  CHECK(change(attached, call_of(7, 4)) == 0);
  CHECK(attached.runtime->setTactic(0) == 0);
}

// A stream and addresses that do not exist: whoever touched them would crash.
CASE(enqueue_hands_the_launcher_exactly_these) {
  char* const memory = reinterpret_cast<char*>(0x7f0000000000);
  void* const stream = reinterpret_cast<void*>(0x1234560);
  for (int32_t k : {3, 5, 7}) {
    for (int32_t s : {1, 2, 4}) {
      for (DataType type : {DataType::kFLOAT, DataType::kHALF}) {
        const Made made = make(k, s);
        const Call call = call_of(k, s, type);
        const void* const inputs[] = {memory, memory + 64};
        void* const outputs[] = {memory + 128};
        launcher_double = {};
        CHECK(made.runtime->enqueue(call.in, &call.out, inputs, outputs, memory + 192,
                                    static_cast<cudaStream_t>(stream)) == 0);
        const MgdnDynamicFilter& filter = launcher_double.filter;
        CHECK(launcher_double.calls == 1);
        CHECK(launcher_double.stream == stream);
        CHECK(filter.feature == memory);
        CHECK(filter.kernel == memory + 64);
        CHECK(filter.out == memory + 128);
        CHECK(filter.batch == 2 && filter.channels == 6);
        CHECK(filter.height == 48 && filter.width == 64);
        CHECK(filter.kernel_size == k && filter.upscale == s);
        CHECK(filter.storage == (type == DataType::kHALF ? MGDN_FLOAT16 : MGDN_FLOAT32));
        CHECK(filter.implementation == MGDN_BEST);
      }
    }
  }
}

CASE(a_launch_that_fails_is_an_error_with_its_status) {
  const Made made = make(3, 1);
  const Call call = call_of(3, 1);
  const void* const inputs[] = {nullptr, nullptr};
  void* const outputs[] = {nullptr};
  Log log;
  for (int32_t status : {MGDN_NULL_POINTER, MGDN_BAD_SHAPE, MGDN_CUDA_FAILED}) {
    launcher_double = {};
    launcher_double.status = status;
    CHECK(made.runtime->enqueue(call.in, &call.out, inputs, outputs, nullptr, nullptr) != 0);
    CHECK(log.said("MgdnStatus " + std::to_string(status)));
  }
}
