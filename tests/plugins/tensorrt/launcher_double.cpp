#include "launcher_double.h"

LauncherDouble launcher_double = {};

extern "C" int32_t mgdn_dynamic_filter_enqueue(const MgdnDynamicFilter* filter, void* stream) {
  ++launcher_double.calls;
  launcher_double.filter = *filter;
  launcher_double.stream = stream;
  if (launcher_double.status != MGDN_OK || !launcher_double.computes) {
    return launcher_double.status;
  }
  int64_t bands = 0;
  const int32_t status = mgdn_dynamic_filter_bands(filter, &bands);
  return status != MGDN_OK ? status : mgdn_dynamic_filter_run(filter, 0, bands);
}
