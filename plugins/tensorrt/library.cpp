// The library's entry points, those of TensorRT's IPluginRegistry::loadLibrary first.
#include <NvInferRuntime.h>

#include "dynamic_filter_creator.h"
#include "error_log.h"
#include "mgdn_tensorrt.h"

#if NV_TENSORRT_MAJOR < 10
#error "TensorRT 10.0 or newer is needed: IPluginV3 is new there (JetPack 6.1 brings 10.3)"
#endif

namespace {

mgdn::DynamicFilterCreator creator("mgdn");

// TensorRT's OnnxParser looks in namespace "" for a node that has no string attribute
// plugin_namespace, whatever the node's domain is (onnx-tensorrt 10.1, FallbackPluginImporter).
mgdn::DynamicFilterCreator parser_creator("");

nvinfer1::IPluginCreatorInterface* const creators[] = {&creator, &parser_creator};

}  // namespace

// The header declares neither of the two; trtexec's documentation and loadLibrary's do.
extern "C" MGDN_EXPORT nvinfer1::IPluginCreatorInterface* const* getCreators(int32_t& nbCreators) {
  nbCreators = int32_t(sizeof creators / sizeof creators[0]);
  return creators;
}

extern "C" MGDN_EXPORT void setLoggerFinder(nvinfer1::ILoggerFinder* finder) {
  mgdn::set_logger_finder(finder);
}

extern "C" int32_t mgdn_tensorrt_abi_version(void) { return MGDN_TENSORRT_ABI_VERSION; }

extern "C" int32_t mgdn_tensorrt_major(void) { return NV_TENSORRT_MAJOR; }
