// The build capability: types, shapes and formats TensorRT's builder asks about.
#include <string.h>

#include <set>

#include "harness.h"

using namespace harness;
using namespace nvinfer1;

namespace {

constexpr int32_t TYPES = EnumMax<DataType>();
constexpr int32_t FORMATS = EnumMax<TensorFormat>();
constexpr int64_t ANY = -1;

struct Shapes {
  int32_t status;
  DimsExprs output;
};

class Expressions {
 public:
  DimsExprs shape(const std::vector<int64_t>& sizes) {
    DimsExprs result{};
    result.nbDims = int32_t(sizes.size());
    for (size_t axis = 0; axis < sizes.size(); ++axis) {
      sizes_.emplace_back(sizes[axis]);
      result.d[axis] = &sizes_.back();
    }
    return result;
  }

 private:
  std::deque<Size> sizes_;  // addresses stay
};

int32_t output_shapes(const Made& made, const DimsExprs& feature, const DimsExprs& kernel,
                      DimsExprs* output) {
  const DimsExprs inputs[] = {feature, kernel};
  NoExpressions builder;
  return made.build->getOutputShapes(inputs, 2, nullptr, 0, output, 1, builder);
}

int32_t configure(const Made& made, const std::vector<int64_t>& feature,
                  const std::vector<int64_t>& kernel) {
  DynamicPluginTensorDesc in[2] = {};
  in[0].desc = tensor(feature);
  in[1].desc = tensor(kernel);
  return made.build->configurePlugin(in, 2, in, 1);
}

}  // namespace

CASE(one_output_no_workspace_no_tactics) {
  const Made made = make(7, 4);
  const DynamicPluginTensorDesc in[2] = {};
  CHECK(made.build->getNbOutputs() == 1);
  CHECK(made.build->getWorkspaceSize(in, 2, in, 1) == 0);
  CHECK(made.build->getNbTactics() == 0);
  CHECK(made.build->getFormatCombinationLimit() >= 2);
}

CASE(output_type_is_the_features) {
  const Made made = make(3, 1);
  Log log;
  for (int32_t feature = 0; feature < TYPES; ++feature) {
    for (int32_t kernel = 0; kernel < TYPES; ++kernel) {
      const DataType inputs[] = {DataType(feature), DataType(kernel)};
      DataType output = DataType::kBOOL;
      const int32_t status = made.build->getOutputDataTypes(&output, 1, inputs, 2);
      const bool legal = feature == kernel &&
                         (inputs[0] == DataType::kFLOAT || inputs[0] == DataType::kHALF);
      CHECK((status == 0) == legal);
      CHECK(output == (legal ? inputs[0] : DataType::kBOOL));
      CHECK(legal ? log.errors.empty() : log.said("both must be kFLOAT (0) or both kHALF (1)"));
    }
  }
}

CASE(output_shape_is_the_features_symbols) {
  const Made made = make(5, 4);
  Expressions expressions;
  const DimsExprs feature = expressions.shape({ANY, ANY, ANY, ANY});
  DimsExprs output{};
  CHECK(output_shapes(made, feature, expressions.shape({ANY, ANY, ANY, ANY}), &output) == 0);
  CHECK(output.nbDims == 4);
  for (int axis = 0; axis < 4; ++axis) {
    CHECK(output.d[axis] == feature.d[axis]);  // the very expression, not one like it
  }
}

CASE(constant_sizes_are_checked_while_the_network_is_built) {
  const Made made = make(5, 4);
  Expressions expressions;
  Log log;
  const auto status = [&](const std::vector<int64_t>& feature, const std::vector<int64_t>& kernel) {
    DimsExprs output{};
    return output_shapes(made, expressions.shape(feature), expressions.shape(kernel), &output);
  };
  CHECK(status({1, 2, 480, 640}, {1, 25, 120, 160}) == 0);
  CHECK(status({ANY, 2, ANY, 640}, {1, ANY, 120, ANY}) == 0);
  const std::vector<std::vector<int64_t>> wrong = {
      {2, 25, 120, 160}, {1, 49, 120, 160}, {1, 25, 121, 160}, {1, 25, 120, 159},
      {1, 25, 480, 640}, {1, 25, 120},      {1, 25, 120, 160, 1}};
  for (const std::vector<int64_t>& kernel : wrong) {
    CHECK(status({1, 2, 480, 640}, kernel) != 0);
    CHECK(log.said("for feature (1, 2, 480, 640), kernel_size 5 and upscale 4"));
  }
  CHECK(status({1, 2, 482, 640}, {1, 25, 120, 160}) != 0);
  CHECK(log.said("kernel is (1, 25, 120, 160) for feature (1, 2, 482, 640)"));
  CHECK(status({ANY, ANY, ANY, ANY}, {ANY, 9, ANY, ANY}) != 0);
  CHECK(log.said("kernel is (-1, 9, -1, -1)"));
  CHECK(status({2, 480, 640}, {1, 25, 120, 160}) != 0);
  CHECK(log.said("for feature (2, 480, 640)"));
}

CASE(other_numbers_of_tensors_are_refused) {
  const Made made = make(3, 1);
  Expressions expressions;
  NoExpressions builder;
  Log log;
  const DataType types[3] = {};
  DataType type{};
  const DynamicPluginTensorDesc tensors[4] = {};
  const PluginTensorDesc descriptions[4] = {};
  const DimsExprs shape = expressions.shape({1, 9, 4, 4});
  const DimsExprs shapes[] = {shape, shape, shape};
  DimsExprs output{};
  for (int32_t inputs : {0, 1, 3}) {
    CHECK(made.build->getOutputDataTypes(&type, 1, types, inputs) != 0);
    CHECK(log.said("feature and kernel give one output"));
    CHECK(made.build->getOutputShapes(shapes, inputs, nullptr, 0, &output, 1, builder) != 0);
    CHECK(log.said("feature and kernel give one output"));
    CHECK(!made.build->supportsFormatCombination(0, tensors, inputs, 1));
    CHECK(log.said("feature and kernel give one output"));
    CHECK(made.build->configurePlugin(tensors, inputs, tensors, 1) != 0);
    CHECK(log.said("feature and kernel give one output"));
    CHECK(made.runtime->onShapeChange(descriptions, inputs, descriptions, 1) != 0);
    CHECK(log.said("feature and kernel give one output"));
  }
  CHECK(made.build->getOutputDataTypes(&type, 2, types, 2) != 0);
  CHECK(log.said("2 inputs and 2 outputs"));
  CHECK(made.build->getOutputShapes(shapes, 2, shapes, 1, &output, 1, builder) != 0);
  CHECK(log.said("1 shape inputs; there are none"));
}

// Every type and format of all three positions, in the order and with the blanks TensorRT has.
CASE(formats_are_linear_and_types_equal) {
  const Made made = make(3, 2);
  const TensorFormat unset_format = TensorFormat(127);
  int legal_count = 0;
  for (int32_t position = 0; position < 3; ++position) {
    for (int32_t first = 0; first < TYPES; ++first) {
      for (int32_t type = 0; type < TYPES; ++type) {
        for (int32_t format = 0; format < FORMATS; ++format) {
          DynamicPluginTensorDesc tensors[3] = {};
          for (int32_t index = 0; index < 3; ++index) {
            tensors[index].desc.type = index < position ? DataType(first) : DataType(127);
            tensors[index].desc.format = index < position ? TensorFormat::kLINEAR : unset_format;
          }
          tensors[position].desc.type = DataType(type);
          tensors[position].desc.format = TensorFormat(format);
          const bool floats = DataType(type) == DataType::kFLOAT || DataType(type) == DataType::kHALF;
          const bool legal = floats && TensorFormat(format) == TensorFormat::kLINEAR &&
                             (position == 0 || type == first);
          CHECK(made.build->supportsFormatCombination(position, tensors, 2, 1) == legal);
          legal_count += legal;
        }
      }
    }
  }
  CHECK(legal_count == 2 * TYPES + 2 + 2);  // position 0 does not look at the first type
  const DynamicPluginTensorDesc tensors[4] = {};
  CHECK(!made.build->supportsFormatCombination(-1, tensors, 2, 1));
  CHECK(!made.build->supportsFormatCombination(3, tensors, 2, 1));
}

CASE(configuring_checks_the_sizes_known_by_then) {
  const Made made = make(3, 2);
  Log log;
  CHECK(configure(made, {1, 8, 480, 640}, {1, 9, 240, 320}) == 0);
  CHECK(configure(made, {1, 8, ANY, ANY}, {1, 9, ANY, ANY}) == 0);
  CHECK(log.errors.empty());
  CHECK(configure(made, {1, 8, ANY, ANY}, {1, 8, ANY, ANY}) != 0);
  CHECK(log.said("(N, K*K, H/s, W/s) is needed"));
  CHECK(configure(made, {1, 8, 480, 640}, {1, 9, 480, 640}) != 0);
  CHECK(log.said("(N, K*K, H/s, W/s) is needed"));
}

// TensorRT adds types and shapes to the identifier; attributes must tell plugins apart.
CASE(timing_cache_and_metadata_tell_attributes_apart) {
  std::set<std::string> timing, metadata;
  for (int32_t kernel_size : {3, 5, 7}) {
    for (int32_t upscale : {1, 2, 4}) {
      const Made made = make(kernel_size, upscale);
      timing.insert(made.build->getTimingCacheID());
      metadata.insert(made.build->getMetadataString());
      const Made copy = with_capabilities(made.plugin->clone());
      CHECK(!strcmp(copy.build->getTimingCacheID(), made.build->getTimingCacheID()));
    }
  }
  CHECK(timing.size() == 9 && metadata.size() == 9);
  CHECK(metadata.count("mgdn.DynamicFilter.1 kernel_size=7 upscale=4"));
}
