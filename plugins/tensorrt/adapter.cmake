# mgdn_tensorrt_adapter: the plugin without its kernel, as objects. The plugin links them with the
# CUDA kernel, the harness in tests/plugins/tensorrt with a double of it.
# Needs TENSORRT_INCLUDE_DIR (NvInferRuntime.h) and MGDN_CUDA_INCLUDE_DIR (cuda_runtime_api.h).
get_filename_component(plugins_folder "${CMAKE_CURRENT_LIST_DIR}" DIRECTORY)

add_library(mgdn_tensorrt_adapter OBJECT
  "${CMAKE_CURRENT_LIST_DIR}/dynamic_filter_creator.cpp"
  "${CMAKE_CURRENT_LIST_DIR}/dynamic_filter_plugin.cpp"
  "${CMAKE_CURRENT_LIST_DIR}/error_log.cpp"
  "${CMAKE_CURRENT_LIST_DIR}/library.cpp"
  "${CMAKE_CURRENT_LIST_DIR}/tensor_checks.cpp"
)
target_include_directories(mgdn_tensorrt_adapter PUBLIC
  "${plugins_folder}" "${CMAKE_CURRENT_LIST_DIR}")
target_include_directories(mgdn_tensorrt_adapter SYSTEM PUBLIC
  "${TENSORRT_INCLUDE_DIR}" "${MGDN_CUDA_INCLUDE_DIR}")
target_compile_features(mgdn_tensorrt_adapter PUBLIC cxx_std_14)
set_target_properties(mgdn_tensorrt_adapter PROPERTIES
  POSITION_INDEPENDENT_CODE ON
  CXX_VISIBILITY_PRESET hidden
  VISIBILITY_INLINES_HIDDEN ON
)
# No exception reaches TensorRT because none exists. Run-time type information stays: TensorRT
# holds these objects by their bases and may ask for their type.
target_compile_options(mgdn_tensorrt_adapter PRIVATE -Wall -Wextra -Wpedantic -fno-exceptions)
if(MGDN_WARNINGS_AS_ERRORS)
  target_compile_options(mgdn_tensorrt_adapter PRIVATE -Werror)
endif()
if(MGDN_SANITIZE)
  target_compile_options(mgdn_tensorrt_adapter PRIVATE
    -fsanitize=${MGDN_SANITIZE} -fno-sanitize-recover=all -g)
endif()

# Turn `target`, which holds the adapter's objects and a launcher, into a plugin library.
function(mgdn_set_plugin_properties target)
  set_target_properties(${target} PROPERTIES PREFIX "" CXX_VISIBILITY_PRESET hidden)
  # libnvinfer is not linked: TensorRT loads the plugin, and the plugin calls back through objects.
  # -Bsymbolic-functions: a launcher of the same name elsewhere in the process is another build's.
  target_link_options(${target} PRIVATE
    -Wl,--as-needed -Wl,-z,defs -Wl,-Bsymbolic-functions -Wl,--exclude-libs,ALL)
endfunction()
