// Makes DynamicFilter plugins from fields: an ONNX node's attributes or what an engine holds.
#pragma once

#include <NvInferRuntime.h>

#include "dynamic_filter_plugin.h"

namespace mgdn {

// Fields, each one int32: kernel_size (3, 5 or 7) and upscale (1, 2 or 4; 1 where absent).
class DynamicFilterCreator final : public nvinfer1::IPluginCreatorV3One {
 public:
  // `plugin_namespace` is static memory.
  explicit DynamicFilterCreator(const char* plugin_namespace);

  // The plugin, owned by the caller; nullptr after a logged sentence where a field is wrong.
  nvinfer1::IPluginV3* createPlugin(const char* name,
                                    const nvinfer1::PluginFieldCollection* fields,
                                    nvinfer1::TensorRTPhase phase) noexcept override;
  const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override;
  const char* getPluginName() const noexcept override;
  const char* getPluginVersion() const noexcept override;
  const char* getPluginNamespace() const noexcept override;

 private:
  const char* const namespace_;
  nvinfer1::PluginField fields_[2];
  nvinfer1::PluginFieldCollection collection_;
};

}  // namespace mgdn
