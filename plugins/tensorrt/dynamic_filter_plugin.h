// mgdn::DynamicFilter version 1 for TensorRT: types, shapes and pointers are handed to the CUDA
// kernel's launcher. No arithmetic here.
#pragma once

#include <NvInferRuntime.h>
#include <stdint.h>

namespace mgdn {

constexpr const char* PLUGIN_NAME = "DynamicFilter";
constexpr const char* PLUGIN_VERSION = "1";
constexpr const char* KERNEL_SIZE_FIELD = "kernel_size";
constexpr const char* UPSCALE_FIELD = "upscale";

struct Attributes {
  int32_t kernel_size;  // K in {3, 5, 7}
  int32_t upscale;      // s in {1, 2, 4}
};

// One node of a network. Inputs feature (N, C, H, W) and kernel (N, K*K, H / s, W / s), output
// (N, C, H, W); all three linear and all float32 or all float16. It owns no device memory, so a
// clone is all that a context needs of its own.
class DynamicFilterPlugin final : public nvinfer1::IPluginV3,
                                  public nvinfer1::IPluginV3OneCore,
                                  public nvinfer1::IPluginV3OneBuild,
                                  public nvinfer1::IPluginV3OneRuntime {
 public:
  // `plugin_namespace` is that of the creator, static memory.
  DynamicFilterPlugin(const Attributes& attributes, const char* plugin_namespace);
  DynamicFilterPlugin(const DynamicFilterPlugin&) = delete;
  DynamicFilterPlugin& operator=(const DynamicFilterPlugin&) = delete;

  // IPluginV3
  nvinfer1::IPluginCapability* getCapabilityInterface(
      nvinfer1::PluginCapabilityType type) noexcept override;
  nvinfer1::IPluginV3* clone() noexcept override;

  // IPluginV3OneCore
  const char* getPluginName() const noexcept override;
  const char* getPluginVersion() const noexcept override;
  const char* getPluginNamespace() const noexcept override;

  // IPluginV3OneBuild
  int32_t getNbOutputs() const noexcept override;
  int32_t getOutputDataTypes(nvinfer1::DataType* output_types, int32_t outputs,
                             const nvinfer1::DataType* input_types,
                             int32_t inputs) const noexcept override;
  int32_t getOutputShapes(const nvinfer1::DimsExprs* input_shapes, int32_t inputs,
                          const nvinfer1::DimsExprs* shape_inputs, int32_t shape_input_count,
                          nvinfer1::DimsExprs* output_shapes, int32_t outputs,
                          nvinfer1::IExprBuilder& builder) noexcept override;
  bool supportsFormatCombination(int32_t position, const nvinfer1::DynamicPluginTensorDesc* tensors,
                                 int32_t inputs, int32_t outputs) noexcept override;
  int32_t configurePlugin(const nvinfer1::DynamicPluginTensorDesc* in, int32_t inputs,
                          const nvinfer1::DynamicPluginTensorDesc* out,
                          int32_t outputs) noexcept override;
  size_t getWorkspaceSize(const nvinfer1::DynamicPluginTensorDesc* in, int32_t inputs,
                          const nvinfer1::DynamicPluginTensorDesc* out,
                          int32_t outputs) const noexcept override;
  const char* getTimingCacheID() noexcept override;
  const char* getMetadataString() noexcept override;

  // IPluginV3OneRuntime
  int32_t onShapeChange(const nvinfer1::PluginTensorDesc* in, int32_t inputs,
                        const nvinfer1::PluginTensorDesc* out, int32_t outputs) noexcept override;
  int32_t enqueue(const nvinfer1::PluginTensorDesc* input_descriptions,
                  const nvinfer1::PluginTensorDesc* output_descriptions, const void* const* inputs,
                  void* const* outputs, void* workspace, cudaStream_t stream) noexcept override;
  nvinfer1::IPluginV3* attachToContext(
      nvinfer1::IPluginResourceContext* context) noexcept override;
  const nvinfer1::PluginFieldCollection* getFieldsToSerialize() noexcept override;

 private:
  const Attributes attributes_;
  const char* const namespace_;
  nvinfer1::PluginField fields_[2];
  nvinfer1::PluginFieldCollection collection_;
  char description_[64];
};

}  // namespace mgdn
