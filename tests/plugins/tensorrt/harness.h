// Cases by name, checks that say what they saw, and the objects TensorRT would hand to a plugin.
#pragma once

#include <NvInferRuntime.h>
#include <stdint.h>

#include <deque>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "launcher_double.h"

extern "C" nvinfer1::IPluginCreatorInterface* const* getCreators(int32_t& nbCreators);
extern "C" void setLoggerFinder(nvinfer1::ILoggerFinder* finder);

namespace harness {

using Case = void (*)();
std::map<std::string, Case>& cases();

struct Registration {
  Registration(const char* name, Case run) { cases()[name] = run; }
};

// CASE(name) { ... }: a case fails by throwing, which CHECK does.
#define CASE(name)                                        \
  static void name();                                     \
  static harness::Registration register_##name(#name, name); \
  static void name()

#define CHECK(condition)                                                              \
  do {                                                                                \
    if (!(condition)) {                                                               \
      throw std::runtime_error(std::string(__FILE__) + ":" + std::to_string(__LINE__) + \
                               ": " #condition);                                      \
    }                                                                                 \
  } while (0)

// Sentences the plugin logs, for as long as this lives.
class Log final : public nvinfer1::ILogger, public nvinfer1::ILoggerFinder {
 public:
  Log() { setLoggerFinder(this); }
  ~Log() { setLoggerFinder(nullptr); }
  void log(Severity severity, const char* text) noexcept override {
    errors.push_back(severity == Severity::kERROR ? text : "not an error");
  }
  nvinfer1::ILogger* findLogger() override { return this; }

  // Whether the last call logged one error with `words` in it; forgets it.
  bool said(const std::string& words) {
    const bool found = errors.size() == 1 && errors[0].find("mgdn.DynamicFilter: ") == 0 &&
                       errors[0].find(words) != std::string::npos;
    if (!found) {
      std::cerr << errors.size() << " errors, the last '" << (errors.empty() ? "" : errors.back())
                << "', wanted '" << words << "'\n";
    }
    errors.clear();
    return found;
  }

  std::vector<std::string> errors;
};

// A size of a tensor while a network is built: a constant or known by its name only.
class Size final : public nvinfer1::IDimensionExpr, private nvinfer1::apiv::VDimensionExpr {
 public:
  explicit Size(int64_t value) : value_(value) { mImpl = this; }  // -1: not constant
  using nvinfer1::IDimensionExpr::isConstant;

 private:
  bool isConstant() const override { return value_ >= 0; }
  int64_t getConstantValue() const override {
    CHECK(value_ >= 0);  // TensorRT: undefined for others
    return value_;
  }
  bool isSizeTensor() const override { return false; }
  const int64_t value_;
};

// The plugin's output has its input's sizes: nothing needs to be built, and nothing may be.
class NoExpressions final : public nvinfer1::IExprBuilder, private nvinfer1::apiv::VExprBuilder {
 public:
  NoExpressions() { mImpl = this; }

 private:
  const nvinfer1::IDimensionExpr* constant(int64_t) override { return unwanted(); }
  const nvinfer1::IDimensionExpr* operation(nvinfer1::DimensionOperation,
                                            const nvinfer1::IDimensionExpr&,
                                            const nvinfer1::IDimensionExpr&) override {
    return unwanted();
  }
  const nvinfer1::IDimensionExpr* declareSizeTensor(int32_t, const nvinfer1::IDimensionExpr&,
                                                    const nvinfer1::IDimensionExpr&) override {
    return unwanted();
  }
  static const nvinfer1::IDimensionExpr* unwanted() {
    CHECK(!"an expression was built");
    return nullptr;
  }
};

// A plugin with its capabilities, from the creator of namespace `plugin_namespace`.
struct Made {
  std::unique_ptr<nvinfer1::IPluginV3> plugin;
  nvinfer1::IPluginV3OneCore* core;
  nvinfer1::IPluginV3OneBuild* build;
  nvinfer1::IPluginV3OneRuntime* runtime;
};

nvinfer1::IPluginCreatorV3One& creator(const std::string& plugin_namespace = "mgdn");
Made with_capabilities(nvinfer1::IPluginV3* plugin);
Made make(int32_t kernel_size, int32_t upscale, const std::string& plugin_namespace = "mgdn");

nvinfer1::Dims dims(const std::vector<int64_t>& sizes);

// A linear tensor.
nvinfer1::PluginTensorDesc tensor(const std::vector<int64_t>& sizes,
                                  nvinfer1::DataType type = nvinfer1::DataType::kFLOAT);

}  // namespace harness
