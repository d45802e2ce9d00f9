#include "tensor_checks.h"

#include <stdio.h>

#include "error_log.h"

namespace mgdn {
namespace {

using nvinfer1::DataType;
using nvinfer1::Dims;
using nvinfer1::PluginTensorDesc;
using nvinfer1::TensorFormat;

struct ShapeText {
  char text[96];
};

// "(1, 2, 480, 640)"; ranks above RANK are cut short, which no right shape has.
ShapeText text_of(const Dims& dims) {
  ShapeText shape;
  int end = snprintf(shape.text, sizeof shape.text, "(");
  for (int32_t axis = 0; axis < dims.nbDims && axis < RANK; ++axis) {
    end += snprintf(shape.text + end, sizeof shape.text - size_t(end), "%s%lld",
                    axis ? ", " : "", (long long)dims.d[axis]);
  }
  snprintf(shape.text + end, sizeof shape.text - size_t(end),
           dims.nbDims > RANK ? ", ...)" : ")");
  return shape;
}

bool fits(int64_t kernel, int64_t factor, int64_t feature) {
  return kernel == UNKNOWN_SIZE || feature == UNKNOWN_SIZE || kernel * factor == feature;
}

bool is_known(const Dims& dims) {
  for (int32_t axis = 0; axis < dims.nbDims; ++axis) {
    if (dims.d[axis] < 1) {
      return false;
    }
  }
  return true;
}

bool equal(const Dims& left, const Dims& right) {
  for (int32_t axis = 0; axis < RANK; ++axis) {
    if (left.d[axis] != right.d[axis]) {
      return false;
    }
  }
  return left.nbDims == RANK && right.nbDims == RANK;
}

}  // namespace

bool is_supported_type(DataType type) {
  return type == DataType::kFLOAT || type == DataType::kHALF;
}

bool check_counts(int32_t inputs, int32_t outputs) {
  if (inputs == 2 && outputs == 1) {
    return true;
  }
  log_error("%d inputs and %d outputs; feature and kernel give one output", inputs, outputs);
  return false;
}

bool check_sizes(const Dims& feature, const Dims& kernel, const Attributes& attributes) {
  const int64_t taps = int64_t(attributes.kernel_size) * attributes.kernel_size;
  if (feature.nbDims == RANK && kernel.nbDims == RANK &&
      fits(kernel.d[0], 1, feature.d[0]) && fits(kernel.d[1], 1, taps) &&
      fits(kernel.d[2], attributes.upscale, feature.d[2]) &&
      fits(kernel.d[3], attributes.upscale, feature.d[3])) {
    return true;
  }
  log_error("kernel is %s for feature %s, kernel_size %d and upscale %d; (N, K*K, H/s, W/s) is "
            "needed, with s dividing H and W",
            text_of(kernel).text, text_of(feature).text, attributes.kernel_size,
            attributes.upscale);
  return false;
}

bool check_tensors(const PluginTensorDesc* in, const PluginTensorDesc& out,
                   const Attributes& attributes) {
  if (!check_sizes(in[0].dims, in[1].dims, attributes)) {
    return false;
  }
  if (!is_known(in[0].dims) || !is_known(in[1].dims) || !equal(out.dims, in[0].dims)) {
    log_error("output is %s for feature %s; the same is needed, each size at least 1",
              text_of(out.dims).text, text_of(in[0].dims).text);
    return false;
  }
  const DataType type = in[0].type;
  if (!is_supported_type(type) || in[1].type != type || out.type != type ||
      in[0].format != TensorFormat::kLINEAR || in[1].format != TensorFormat::kLINEAR ||
      out.format != TensorFormat::kLINEAR) {
    log_error("types %d, %d, %d and formats %d, %d, %d of feature, kernel and output; all must be "
              "kFLOAT (0) or all kHALF (1), and kLINEAR (0)",
              int(type), int(in[1].type), int(out.type), int(in[0].format), int(in[1].format),
              int(out.format));
    return false;
  }
  return true;
}

}  // namespace mgdn
