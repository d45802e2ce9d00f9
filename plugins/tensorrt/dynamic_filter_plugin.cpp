#include "dynamic_filter_plugin.h"

#include <stdio.h>

#include <new>

#include "cuda/dynamic_filter_cuda.h"
#include "error_log.h"
#include "tensor_checks.h"

namespace mgdn {

using namespace nvinfer1;

namespace {

// What TensorRT's int-valued functions return; any value but 0 ends the build or the call.
constexpr int32_t SUCCESS = 0;
constexpr int32_t FAILURE = 1;

Dims known_sizes(const DimsExprs& shape) {
  Dims sizes{};
  sizes.nbDims = shape.nbDims;
  for (int32_t axis = 0; axis < shape.nbDims && axis < Dims::MAX_DIMS; ++axis) {
    const IDimensionExpr* size = shape.d[axis];
    sizes.d[axis] = size && size->isConstant() ? size->getConstantValue() : UNKNOWN_SIZE;
  }
  return sizes;
}

}  // namespace

DynamicFilterPlugin::DynamicFilterPlugin(const Attributes& attributes,
                                         const char* plugin_namespace)
    : attributes_(attributes),
      namespace_(plugin_namespace),
      fields_{{KERNEL_SIZE_FIELD, &attributes_.kernel_size, PluginFieldType::kINT32, 1},
              {UPSCALE_FIELD, &attributes_.upscale, PluginFieldType::kINT32, 1}} {
  collection_.nbFields = 2;
  collection_.fields = fields_;
  snprintf(description_, sizeof description_, "mgdn.DynamicFilter.1 kernel_size=%d upscale=%d",
           attributes_.kernel_size, attributes_.upscale);
}

IPluginCapability* DynamicFilterPlugin::getCapabilityInterface(PluginCapabilityType type) noexcept {
  switch (type) {
    case PluginCapabilityType::kCORE:
      return static_cast<IPluginV3OneCore*>(this);
    case PluginCapabilityType::kBUILD:
      return static_cast<IPluginV3OneBuild*>(this);
    case PluginCapabilityType::kRUNTIME:
      return static_cast<IPluginV3OneRuntime*>(this);
  }
  return nullptr;
}

IPluginV3* DynamicFilterPlugin::clone() noexcept {
  IPluginV3* copy = new (std::nothrow) DynamicFilterPlugin(attributes_, namespace_);
  if (!copy) {
    log_error("out of memory");
  }
  return copy;
}

const char* DynamicFilterPlugin::getPluginName() const noexcept { return PLUGIN_NAME; }

const char* DynamicFilterPlugin::getPluginVersion() const noexcept { return PLUGIN_VERSION; }

const char* DynamicFilterPlugin::getPluginNamespace() const noexcept { return namespace_; }

int32_t DynamicFilterPlugin::getNbOutputs() const noexcept { return 1; }

int32_t DynamicFilterPlugin::getOutputDataTypes(DataType* output_types, int32_t outputs,
                                                const DataType* input_types,
                                                int32_t inputs) const noexcept {
  if (!check_counts(inputs, outputs)) {
    return FAILURE;
  }
  if (!is_supported_type(input_types[0]) || input_types[1] != input_types[0]) {
    log_error("feature has type %d and kernel %d; both must be kFLOAT (0) or both kHALF (1): add "
              "a Cast",
              int(input_types[0]), int(input_types[1]));
    return FAILURE;
  }
  output_types[0] = input_types[0];
  return SUCCESS;
}

int32_t DynamicFilterPlugin::getOutputShapes(const DimsExprs* input_shapes, int32_t inputs,
                                             const DimsExprs*, int32_t shape_input_count,
                                             DimsExprs* output_shapes, int32_t outputs,
                                             IExprBuilder&) noexcept {
  if (!check_counts(inputs, outputs)) {
    return FAILURE;
  }
  if (shape_input_count != 0) {
    log_error("%d shape inputs; there are none", shape_input_count);
    return FAILURE;
  }
  if (!check_sizes(known_sizes(input_shapes[0]), known_sizes(input_shapes[1]), attributes_)) {
    return FAILURE;
  }
  output_shapes[0] = input_shapes[0];
  return SUCCESS;
}

// TensorRT asks for position 0, 1, 2 in turn; tensors after `position` are not set yet.
bool DynamicFilterPlugin::supportsFormatCombination(int32_t position,
                                                    const DynamicPluginTensorDesc* tensors,
                                                    int32_t inputs, int32_t outputs) noexcept {
  if (!check_counts(inputs, outputs) || position < 0 || position >= inputs + outputs) {
    return false;
  }
  const PluginTensorDesc& tensor = tensors[position].desc;
  return tensor.format == TensorFormat::kLINEAR && is_supported_type(tensor.type) &&
         tensor.type == tensors[0].desc.type;
}

int32_t DynamicFilterPlugin::configurePlugin(const DynamicPluginTensorDesc* in, int32_t inputs,
                                             const DynamicPluginTensorDesc*,
                                             int32_t outputs) noexcept {
  const bool fits = check_counts(inputs, outputs) &&
                    check_sizes(in[0].desc.dims, in[1].desc.dims, attributes_);
  return fits ? SUCCESS : FAILURE;
}

size_t DynamicFilterPlugin::getWorkspaceSize(const DynamicPluginTensorDesc*, int32_t,
                                             const DynamicPluginTensorDesc*,
                                             int32_t) const noexcept {
  return 0;
}

// TensorRT adds shapes and types itself; the attributes are what else decides the time.
const char* DynamicFilterPlugin::getTimingCacheID() noexcept { return description_; }

const char* DynamicFilterPlugin::getMetadataString() noexcept { return description_; }

int32_t DynamicFilterPlugin::onShapeChange(const PluginTensorDesc* in, int32_t inputs,
                                           const PluginTensorDesc* out, int32_t outputs) noexcept {
  const bool fits = check_counts(inputs, outputs) && check_tensors(in, out[0], attributes_);
  return fits ? SUCCESS : FAILURE;
}

// Shapes were checked by onShapeChange, which TensorRT calls before the first enqueue of each.
int32_t DynamicFilterPlugin::enqueue(const PluginTensorDesc* input_descriptions,
                                     const PluginTensorDesc*, const void* const* inputs,
                                     void* const* outputs, void*, cudaStream_t stream) noexcept {
  const PluginTensorDesc& feature = input_descriptions[0];
  MgdnDynamicFilter filter{};
  filter.feature = inputs[0];
  filter.kernel = inputs[1];
  filter.out = outputs[0];
  filter.batch = feature.dims.d[0];
  filter.channels = feature.dims.d[1];
  filter.height = feature.dims.d[2];
  filter.width = feature.dims.d[3];
  filter.kernel_size = attributes_.kernel_size;
  filter.upscale = attributes_.upscale;
  filter.storage = feature.type == DataType::kHALF ? MGDN_FLOAT16 : MGDN_FLOAT32;
  filter.implementation = MGDN_BEST;
  const int32_t status = mgdn_dynamic_filter_enqueue(&filter, stream);
  if (status != MGDN_OK) {
    log_error("the CUDA kernel was not launched: MgdnStatus %d of mgdn.h", status);
    return FAILURE;
  }
  return SUCCESS;
}

IPluginV3* DynamicFilterPlugin::attachToContext(IPluginResourceContext*) noexcept {
  return clone();
}

const PluginFieldCollection* DynamicFilterPlugin::getFieldsToSerialize() noexcept {
  return &collection_;
}

}  // namespace mgdn
