// Creators: which there are, what they make, what they refuse.
#include <string.h>

#include "harness.h"

using namespace harness;
using namespace nvinfer1;

namespace {

constexpr auto INT32 = PluginFieldType::kINT32;
constexpr int32_t FIVE = 5;
constexpr int32_t TWO = 2;

bool refused(const std::vector<PluginField>& fields, const std::string& words) {
  Log log;
  bool every = true;
  for (TensorRTPhase phase : {TensorRTPhase::kBUILD, TensorRTPhase::kRUNTIME}) {
    const PluginFieldCollection collection = {int32_t(fields.size()), fields.data()};
    const std::unique_ptr<IPluginV3> plugin(creator().createPlugin("node", &collection, phase));
    every = !plugin && log.said(words) && every;
  }
  return every;
}

}  // namespace

CASE(one_creator_for_each_namespace) {
  int32_t count = 0;
  IPluginCreatorInterface* const* creators = getCreators(count);
  CHECK(count == 2);
  for (int32_t index = 0; index < count; ++index) {
    const InterfaceInfo info = creators[index]->getInterfaceInfo();
    CHECK(!strcmp(info.kind, "PLUGIN CREATOR_V3ONE"));
    CHECK(info.major == 1 && info.minor == 0);
    CHECK(creators[index]->getAPILanguage() == APILanguage::kCPP);
    auto& each = static_cast<IPluginCreatorV3One&>(*creators[index]);
    CHECK(!strcmp(each.getPluginName(), "DynamicFilter"));
    CHECK(!strcmp(each.getPluginVersion(), "1"));
  }
  CHECK(&creator("mgdn") != &creator(""));
}

// OnnxParser copies an attribute only where getFieldNames has its name.
CASE(fields_are_named_for_the_parser) {
  for (const char* plugin_namespace : {"mgdn", ""}) {
    const PluginFieldCollection* names = creator(plugin_namespace).getFieldNames();
    CHECK(names && names->nbFields == 2);
    CHECK(!strcmp(names->fields[0].name, "kernel_size"));
    CHECK(!strcmp(names->fields[1].name, "upscale"));
    for (int32_t index = 0; index < 2; ++index) {
      CHECK(names->fields[index].type == INT32 && names->fields[index].length == 1);
    }
  }
}

CASE(interfaces_are_of_version_1) {
  const Made made = make(5, 2);
  const InterfaceInfo infos[] = {made.plugin->getInterfaceInfo(), made.core->getInterfaceInfo(),
                                 made.build->getInterfaceInfo(), made.runtime->getInterfaceInfo()};
  const char* kinds[] = {"PLUGIN", "PLUGIN_V3ONE_CORE", "PLUGIN_V3ONE_BUILD",
                         "PLUGIN_V3ONE_RUNTIME"};
  for (int index = 0; index < 4; ++index) {
    CHECK(!strcmp(infos[index].kind, kinds[index]));
    CHECK(infos[index].major == 1 && infos[index].minor == 0);
  }
  CHECK(made.plugin->getAPILanguage() == APILanguage::kCPP);
  CHECK(!made.plugin->getCapabilityInterface(static_cast<PluginCapabilityType>(9)));
}

// An engine looks its plugin up by these three: they must be the creator's.
CASE(plugin_has_its_creators_names) {
  for (const char* plugin_namespace : {"mgdn", ""}) {
    const Made made = make(3, 1, plugin_namespace);
    CHECK(!strcmp(made.core->getPluginName(), "DynamicFilter"));
    CHECK(!strcmp(made.core->getPluginVersion(), "1"));
    CHECK(!strcmp(made.core->getPluginNamespace(), plugin_namespace));
    const Made copy = with_capabilities(made.plugin->clone());
    CHECK(!strcmp(copy.core->getPluginNamespace(), plugin_namespace));
  }
}

CASE(every_pair_of_attributes_is_kept_through_serialisation) {
  for (int32_t kernel_size : {3, 5, 7}) {
    for (int32_t upscale : {1, 2, 4}) {
      Made made = make(kernel_size, upscale);
      // The fields are copied, as an engine's bytes are: the first plugin is gone when they are read.
      const PluginFieldCollection* written = made.runtime->getFieldsToSerialize();
      CHECK(written->nbFields == 2);
      int32_t values[2];
      std::string names[2];
      std::vector<PluginField> fields;
      for (int32_t index = 0; index < 2; ++index) {
        const PluginField& field = written->fields[index];
        CHECK(field.type == INT32 && field.length == 1);
        memcpy(&values[index], field.data, sizeof(int32_t));
        names[index] = field.name;
        fields.emplace_back(names[index].c_str(), &values[index], INT32, 1);
      }
      made.plugin.reset();
      const PluginFieldCollection collection = {2, fields.data()};
      const Made again = with_capabilities(
          creator().createPlugin("node", &collection, TensorRTPhase::kRUNTIME));
      const PluginFieldCollection* kept = again.runtime->getFieldsToSerialize();
      CHECK(*static_cast<const int32_t*>(kept->fields[0].data) == kernel_size);
      CHECK(*static_cast<const int32_t*>(kept->fields[1].data) == upscale);
    }
  }
}

CASE(upscale_is_1_where_absent) {
  const PluginField field("kernel_size", &FIVE, INT32, 1);
  const PluginFieldCollection collection = {1, &field};
  const Made made =
      with_capabilities(creator().createPlugin("node", &collection, TensorRTPhase::kBUILD));
  const PluginFieldCollection* kept = made.runtime->getFieldsToSerialize();
  CHECK(*static_cast<const int32_t*>(kept->fields[1].data) == 1);
}

// The parser's copy of an attribute is bytes of any alignment; undefined behaviour sanitizers see.
CASE(field_data_of_any_alignment_is_read) {
  alignas(8) char bytes[16] = {};
  memcpy(bytes + 1, &FIVE, sizeof FIVE);
  memcpy(bytes + 7, &TWO, sizeof TWO);
  const PluginField fields[] = {{"upscale", bytes + 7, INT32, 1},
                                {"kernel_size", bytes + 1, INT32, 1}};
  const PluginFieldCollection collection = {2, fields};
  const Made made =
      with_capabilities(creator().createPlugin("node", &collection, TensorRTPhase::kBUILD));
  const PluginFieldCollection* kept = made.runtime->getFieldsToSerialize();
  CHECK(*static_cast<const int32_t*>(kept->fields[0].data) == 5);
  CHECK(*static_cast<const int32_t*>(kept->fields[1].data) == 2);
}

CASE(wrong_values_are_refused) {
  for (int32_t wrong : {-3, 0, 1, 2, 4, 6, 8, 9, 259}) {
    CHECK(refused({{"kernel_size", &wrong, INT32, 1}}, "3, 5 or 7 is needed"));
  }
  for (int32_t wrong : {-1, 0, 3, 5, 8, 257}) {
    CHECK(refused({{"kernel_size", &FIVE, INT32, 1}, {"upscale", &wrong, INT32, 1}},
                  "1, 2 or 4 is needed"));
  }
}

CASE(wrong_types_and_counts_are_refused) {
  const int64_t wide = 5;
  const float real = 5;
  CHECK(refused({{"kernel_size", &wide, PluginFieldType::kINT64, 1}}, "has type 10 and length 1"));
  CHECK(refused({{"kernel_size", &real, PluginFieldType::kFLOAT32, 1}}, "has type 1"));
  const int32_t two[] = {5, 5};
  CHECK(refused({{"kernel_size", two, INT32, 2}}, "length 2; one kINT32 (5) is needed"));
  CHECK(refused({{"kernel_size", &FIVE, INT32, 0}}, "length 0"));
  CHECK(refused({{"kernel_size", nullptr, INT32, 1}}, "one kINT32 (5) is needed"));
  CHECK(refused({{"kernel_size", &FIVE, INT32, 1}, {"upscale", two, INT32, 2}}, "field upscale"));
}

CASE(missing_unknown_and_repeated_fields_are_refused) {
  CHECK(refused({}, "kernel_size is missing"));
  CHECK(refused({{"upscale", &TWO, INT32, 1}}, "kernel_size is missing"));
  CHECK(refused({{"kernel_size", &FIVE, INT32, 1}, {"group", &TWO, INT32, 1}},
                "field \"group\" is unknown"));
  CHECK(refused({{nullptr, &FIVE, INT32, 1}}, "field \"\" is unknown"));
  CHECK(refused({{"kernel_size", &FIVE, INT32, 1}, {"kernel_size", &FIVE, INT32, 1}},
                "kernel_size is given twice"));
  const std::string endless(5000, 'x');
  CHECK(refused({{endless.c_str(), &FIVE, INT32, 1}}, "x\" is unknown; kernel_size"));
  Log log;
  CHECK(!creator().createPlugin("node", nullptr, TensorRTPhase::kBUILD));
  CHECK(log.said("kernel_size is missing"));
  const PluginFieldCollection hollow = {2, nullptr};
  CHECK(!creator().createPlugin("node", &hollow, TensorRTPhase::kBUILD));
  CHECK(log.said("kernel_size is missing"));
}

CASE(without_a_logger_the_sentence_goes_to_stderr) {
  setLoggerFinder(nullptr);
  CHECK(!creator().createPlugin("node", nullptr, TensorRTPhase::kBUILD));
}
