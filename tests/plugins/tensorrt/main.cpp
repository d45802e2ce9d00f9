// harness --list | harness CASE
// harness filter K S float|half N C H W FEATURE KERNEL OUT: one enqueue on host memory, raw files
#include <fstream>
#include <iterator>

#include "harness.h"

namespace harness {

std::map<std::string, Case>& cases() {
  static std::map<std::string, Case> all;
  return all;
}

nvinfer1::IPluginCreatorV3One& creator(const std::string& plugin_namespace) {
  int32_t count = 0;
  nvinfer1::IPluginCreatorInterface* const* creators = getCreators(count);
  for (int32_t index = 0; index < count; ++index) {
    auto& each = static_cast<nvinfer1::IPluginCreatorV3One&>(*creators[index]);
    if (plugin_namespace == each.getPluginNamespace()) {
      return each;
    }
  }
  throw std::runtime_error("no creator of namespace '" + plugin_namespace + "'");
}

Made with_capabilities(nvinfer1::IPluginV3* plugin) {
  using nvinfer1::PluginCapabilityType;
  CHECK(plugin);
  Made made;
  made.plugin.reset(plugin);
  made.core = static_cast<nvinfer1::IPluginV3OneCore*>(
      plugin->getCapabilityInterface(PluginCapabilityType::kCORE));
  made.build = static_cast<nvinfer1::IPluginV3OneBuild*>(
      plugin->getCapabilityInterface(PluginCapabilityType::kBUILD));
  made.runtime = static_cast<nvinfer1::IPluginV3OneRuntime*>(
      plugin->getCapabilityInterface(PluginCapabilityType::kRUNTIME));
  CHECK(made.core && made.build && made.runtime);
  return made;
}

Made make(int32_t kernel_size, int32_t upscale, const std::string& plugin_namespace) {
  const nvinfer1::PluginField fields[] = {
      {"kernel_size", &kernel_size, nvinfer1::PluginFieldType::kINT32, 1},
      {"upscale", &upscale, nvinfer1::PluginFieldType::kINT32, 1}};
  const nvinfer1::PluginFieldCollection collection = {2, fields};
  return with_capabilities(creator(plugin_namespace)
                               .createPlugin("node", &collection, nvinfer1::TensorRTPhase::kBUILD));
}

nvinfer1::Dims dims(const std::vector<int64_t>& sizes) {
  nvinfer1::Dims result{};
  result.nbDims = int32_t(sizes.size());
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    result.d[axis] = sizes[axis];
  }
  return result;
}

nvinfer1::PluginTensorDesc tensor(const std::vector<int64_t>& sizes, nvinfer1::DataType type) {
  nvinfer1::PluginTensorDesc description{};
  description.dims = dims(sizes);
  description.type = type;
  description.format = nvinfer1::TensorFormat::kLINEAR;
  return description;
}

}  // namespace harness

namespace {

std::vector<char> read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  CHECK(file);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The road of an engine: built, serialised, made again, attached, shapes set, enqueued.
void filter_files(char** words) {
  const int32_t k = std::stoi(words[0]);
  const int32_t s = std::stoi(words[1]);
  const auto type =
      std::string(words[2]) == "half" ? nvinfer1::DataType::kHALF : nvinfer1::DataType::kFLOAT;
  int64_t n = std::stoll(words[3]), c = std::stoll(words[4]);
  int64_t h = std::stoll(words[5]), w = std::stoll(words[6]);
  const std::vector<char> feature = read_file(words[7]);
  const std::vector<char> kernel = read_file(words[8]);
  std::vector<char> out(feature.size());

  const harness::Made built = harness::make(k, s);
  const harness::Made read = harness::with_capabilities(harness::creator().createPlugin(
      "node", built.runtime->getFieldsToSerialize(), nvinfer1::TensorRTPhase::kRUNTIME));
  const harness::Made made = harness::with_capabilities(read.runtime->attachToContext(nullptr));
  const nvinfer1::PluginTensorDesc in[] = {harness::tensor({n, c, h, w}, type),
                                           harness::tensor({n, k * k, h / s, w / s}, type)};
  CHECK(made.runtime->onShapeChange(in, 2, in, 1) == 0);
  launcher_double.computes = true;
  const void* const inputs[] = {feature.data(), kernel.data()};
  void* const outputs[] = {out.data()};
  CHECK(made.runtime->enqueue(in, in, inputs, outputs, nullptr, nullptr) == 0);
  std::ofstream(words[9], std::ios::binary).write(out.data(), std::streamsize(out.size()));
}

}  // namespace

int main(int count, char** words) {
  try {
    const std::string name = count > 1 ? words[1] : "";
    if (name == "--list") {
      for (const auto& each : harness::cases()) {
        std::cout << each.first << "\n";
      }
    } else if (name == "filter" && count == 12) {
      filter_files(words + 2);
    } else {
      harness::cases().at(name)();
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
