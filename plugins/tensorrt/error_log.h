// Sentences for the user, through TensorRT's logger.
#pragma once

#include <NvInferRuntime.h>

namespace mgdn {

// Where the logger is asked for; NULL, as at the start, means stderr.
void set_logger_finder(nvinfer1::ILoggerFinder* finder);

// One error, "mgdn.DynamicFilter: " before it. To be called in the thread TensorRT called.
__attribute__((format(printf, 1, 2))) void log_error(const char* format, ...);

}  // namespace mgdn
