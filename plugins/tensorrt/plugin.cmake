# mgdn_tensorrt.so, where nvcc and TensorRT's headers are: on a Jetson both come with JetPack.
set(MGDN_TENSORRT AUTO CACHE STRING
  "TensorRT plugin: AUTO builds it where nvcc and TensorRT's headers are found, ON demands it, OFF")
set_property(CACHE MGDN_TENSORRT PROPERTY STRINGS AUTO ON OFF)
if(NOT MGDN_TENSORRT)
  return()
endif()

find_path(TENSORRT_INCLUDE_DIR NvInferVersion.h
  PATHS "/usr/include/${CMAKE_SYSTEM_PROCESSOR}-linux-gnu" /usr/local/tensorrt/include
  DOC "Folder of TensorRT's headers, 10.0 or newer")

# The first thing that is missing, with what to type.
set(missing "")
set(version_file "${TENSORRT_INCLUDE_DIR}/NvInferVersion.h")
if(NOT EXISTS "${version_file}")
  set(missing "TensorRT's headers: apt install libnvinfer-headers-dev, or pass \
-DTENSORRT_INCLUDE_DIR=")
else()
  # Before 10.13 the number itself, since then a macro of the second name.
  file(STRINGS "${version_file}" version_lines
    REGEX "^#define +(NV_TENSORRT_MAJOR|TRT_MAJOR_ENTERPRISE) +[0-9]+")
  string(REGEX MATCH "[0-9]+" tensorrt_major "${version_lines}")
  if(NOT tensorrt_major OR tensorrt_major LESS 10)
    set(missing "TensorRT 10.0 or newer: ${version_file} says '${tensorrt_major}', \
JetPack 6.1 brings 10.3")
  endif()
endif()
if(NOT missing AND NOT cuda) # of cuda.cmake
  set(missing "the CUDA kernel (MGDN_CUDA is ${MGDN_CUDA}): export PATH=/usr/local/cuda/bin:$PATH, \
or pass -DCMAKE_CUDA_COMPILER=")
endif()
if(missing AND MGDN_TENSORRT STREQUAL "AUTO")
  message(STATUS "No TensorRT plugin, for want of ${missing}")
  return()
elseif(missing)
  message(FATAL_ERROR "MGDN_TENSORRT is ${MGDN_TENSORRT}, but no plugin for want of ${missing}")
endif()

find_package(CUDAToolkit REQUIRED)
set(MGDN_CUDA_INCLUDE_DIR "${CUDAToolkit_INCLUDE_DIRS}")
include("${CMAKE_CURRENT_LIST_DIR}/adapter.cmake")

add_library(mgdn_tensorrt MODULE
  $<TARGET_OBJECTS:mgdn_tensorrt_adapter>
  "${CMAKE_CURRENT_LIST_DIR}/../cuda/dynamic_filter.cu"
)
target_include_directories(mgdn_tensorrt PRIVATE "${CMAKE_CURRENT_LIST_DIR}/..")
target_compile_options(mgdn_tensorrt PRIVATE
  "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-fno-exceptions>")
# Static: a process without a driver can load the plugin, and no second runtime has to be found.
set_target_properties(mgdn_tensorrt PROPERTIES
  CUDA_RUNTIME_LIBRARY Static
  CUDA_STANDARD 14
  CUDA_STANDARD_REQUIRED ON
  CUDA_VISIBILITY_PRESET hidden
  LINKER_LANGUAGE CXX
)
mgdn_set_plugin_properties(mgdn_tensorrt)

# The digest lies beside the library; plugins/tensorrt_plugin.py compares before it loads.
set(write_digest "${CMAKE_CURRENT_LIST_DIR}/write_digest.cmake")
add_custom_command(TARGET mgdn_tensorrt POST_BUILD
  COMMAND "${CMAKE_COMMAND}" "-DLIBRARY=$<TARGET_FILE:mgdn_tensorrt>" -P "${write_digest}" VERBATIM)
if(DEFINED SKBUILD)
  set(destination mgdn_edge/plugins)
else()
  set(destination lib)
endif()
install(TARGETS mgdn_tensorrt LIBRARY DESTINATION "${destination}")
# Written again after the copy: installing may strip the library.
install(CODE "execute_process(COMMAND \"${CMAKE_COMMAND}\"
  \"-DLIBRARY=\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${destination}/mgdn_tensorrt.so\"
  -P \"${write_digest}\")")
