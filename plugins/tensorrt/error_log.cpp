#include "error_log.h"

#include <stdarg.h>
#include <stdio.h>

#include <atomic>

namespace mgdn {
namespace {

std::atomic<nvinfer1::ILoggerFinder*> logger_finder{nullptr};

}  // namespace

void set_logger_finder(nvinfer1::ILoggerFinder* finder) {
  logger_finder.store(finder, std::memory_order_release);
}

void log_error(const char* format, ...) {
  char text[512];
  const int start = snprintf(text, sizeof text, "mgdn.DynamicFilter: ");
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text + start, sizeof text - size_t(start), format, arguments);
  va_end(arguments);
  nvinfer1::ILoggerFinder* finder = logger_finder.load(std::memory_order_acquire);
  if (nvinfer1::ILogger* logger = finder ? finder->findLogger() : nullptr) {
    logger->log(nvinfer1::ILogger::Severity::kERROR, text);
  } else {
    fprintf(stderr, "%s\n", text);
  }
}

}  // namespace mgdn
