#include "dynamic_filter_creator.h"

#include <string.h>

#include <new>

#include "error_log.h"

namespace mgdn {

using namespace nvinfer1;

namespace {

bool read_field(const PluginField& field, int32_t* value) {
  if (field.type != PluginFieldType::kINT32 || field.length != 1 || !field.data) {
    log_error("field %s has type %d and length %d; one kINT32 (5) is needed", field.name,
              int(field.type), field.length);
    return false;
  }
  memcpy(value, field.data, sizeof *value);  // the parser keeps it in bytes of any alignment
  return true;
}

bool check_attributes(const Attributes& attributes) {
  const int32_t size = attributes.kernel_size;
  const int32_t upscale = attributes.upscale;
  if (size != 3 && size != 5 && size != 7) {
    log_error("kernel_size is %d; 3, 5 or 7 is needed", size);
    return false;
  }
  if (upscale != 1 && upscale != 2 && upscale != 4) {
    log_error("upscale is %d; 1, 2 or 4 is needed", upscale);
    return false;
  }
  return true;
}

bool read_attributes(const PluginFieldCollection* fields, Attributes* attributes) {
  const bool readable = fields && (fields->nbFields == 0 || fields->fields);
  const int32_t count = readable ? fields->nbFields : 0;
  bool has_kernel_size = false;
  bool has_upscale = false;
  for (int32_t index = 0; index < count; ++index) {
    const PluginField& field = fields->fields[index];
    const char* name = field.name ? field.name : "";
    const bool is_kernel_size = !strcmp(name, KERNEL_SIZE_FIELD);
    if (!is_kernel_size && strcmp(name, UPSCALE_FIELD)) {
      log_error("field \"%.64s\" is unknown; kernel_size and upscale are all there are", name);
      return false;
    }
    bool& given = is_kernel_size ? has_kernel_size : has_upscale;
    if (given) {
      log_error("field %s is given twice", name);
      return false;
    }
    given = true;
    if (!read_field(field, is_kernel_size ? &attributes->kernel_size : &attributes->upscale)) {
      return false;
    }
  }
  if (!has_kernel_size) {
    log_error("field kernel_size is missing; 3, 5 or 7 is needed");
    return false;
  }
  return check_attributes(*attributes);
}

}  // namespace

DynamicFilterCreator::DynamicFilterCreator(const char* plugin_namespace)
    : namespace_(plugin_namespace),
      fields_{{KERNEL_SIZE_FIELD, nullptr, PluginFieldType::kINT32, 1},
              {UPSCALE_FIELD, nullptr, PluginFieldType::kINT32, 1}} {
  collection_.nbFields = 2;
  collection_.fields = fields_;
}

IPluginV3* DynamicFilterCreator::createPlugin(const char*, const PluginFieldCollection* fields,
                                              TensorRTPhase) noexcept {
  Attributes attributes = {0, 1};  // upscale has a default, kernel_size none
  if (!read_attributes(fields, &attributes)) {
    return nullptr;
  }
  IPluginV3* plugin = new (std::nothrow) DynamicFilterPlugin(attributes, namespace_);
  if (!plugin) {
    log_error("out of memory");
  }
  return plugin;
}

const PluginFieldCollection* DynamicFilterCreator::getFieldNames() noexcept {
  return &collection_;
}

const char* DynamicFilterCreator::getPluginName() const noexcept { return PLUGIN_NAME; }

const char* DynamicFilterCreator::getPluginVersion() const noexcept { return PLUGIN_VERSION; }

const char* DynamicFilterCreator::getPluginNamespace() const noexcept { return namespace_; }

}  // namespace mgdn
