// What the plugin demands of its tensors; each refusal is logged as one sentence.
#pragma once

#include <NvInferRuntime.h>

#include "dynamic_filter_plugin.h"

namespace mgdn {

constexpr int32_t RANK = 4;
constexpr int64_t UNKNOWN_SIZE = -1;  // TensorRT's wildcard for a size set later

bool is_supported_type(nvinfer1::DataType type);

bool check_counts(int32_t inputs, int32_t outputs);

// Of feature and kernel, sizes that are UNKNOWN_SIZE left out.
bool check_sizes(const nvinfer1::Dims& feature, const nvinfer1::Dims& kernel,
                 const Attributes& attributes);

// Sizes as above, none of them unknown; type and format of all three tensors; the output's shape.
bool check_tensors(const nvinfer1::PluginTensorDesc* in, const nvinfer1::PluginTensorDesc& out,
                   const Attributes& attributes);

}  // namespace mgdn
