/* What the TensorRT plugin library exports besides TensorRT's own entry points, which are
 *
 *   IPluginCreatorInterface* const* getCreators(int32_t& nbCreators)
 *   void setLoggerFinder(ILoggerFinder* finder)
 *
 * plugins/tensorrt_plugin.py calls these two before it hands the library to TensorRT.
 */
#pragma once

#include <stdint.h>

#include "mgdn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when a function here, the plugin's name or its fields change. */
#define MGDN_TENSORRT_ABI_VERSION 1

/* MGDN_TENSORRT_ABI_VERSION of the library. */
MGDN_EXPORT int32_t mgdn_tensorrt_abi_version(void);

/* Major version of the TensorRT headers the library was built with. ILogger and ILoggerFinder,
 * which the library calls, have another layout from TensorRT 11 on, so it fits one major only. */
MGDN_EXPORT int32_t mgdn_tensorrt_major(void);

#ifdef __cplusplus
}
#endif
