# find_cuda(RESULT): whether the CUDA kernel can be built, as MGDN_CUDA asks; then the language is
# enabled and MGDN_CUDA_ARCHITECTURES says for what, in CMake's words.

set(MGDN_CUDA AUTO CACHE STRING "The CUDA kernel: AUTO (where nvcc works), ON (or stop), OFF")
set(MGDN_CUDA_ARCHITECTURES "" CACHE STRING
  "CUDA architectures, such as 87 or 87;110; empty: those of this machine's GPUs, or PTX for any")

# Of the GPUs here: asked of the driver by CUDA's own tool, or read from a Jetson's device tree,
# which is there in a container without GPU access, too. PTX of the oldest architecture otherwise:
# quick to build, and a driver compiles it for any newer GPU.
function(find_architectures nvcc result)
  get_filename_component(folder "${nvcc}" DIRECTORY)
  execute_process(COMMAND "${nvcc}" --list-gpu-code OUTPUT_VARIABLE known ERROR_QUIET)
  set(found "")
  if(EXISTS "${folder}/__nvcc_device_query")
    execute_process(COMMAND "${folder}/__nvcc_device_query" OUTPUT_VARIABLE answer
      RESULT_VARIABLE failed ERROR_QUIET)
    if(NOT failed)
      string(REGEX MATCHALL "[0-9]+" found "${answer}")
    endif()
  endif()
  if(NOT found AND EXISTS /proc/device-tree/compatible)
    file(STRINGS /proc/device-tree/compatible board)
    if(board MATCHES "tegra234") # Orin
      set(found 87)
    elseif(board MATCHES "tegra264") # Thor
      set(found 110)
    endif()
  endif()
  set(usable "")
  foreach(architecture IN LISTS found)
    if(known MATCHES "sm_${architecture}([^0-9]|$)")
      list(APPEND usable ${architecture}-real)
    endif()
  endforeach()
  list(REMOVE_DUPLICATES usable)
  if(NOT usable)
    set(usable 75-virtual)
  endif()
  set(${result} "${usable}" PARENT_SCOPE)
endfunction()

macro(find_cuda result)
  set(${result} OFF)
  if(MGDN_CUDA AND NOT MGDN_NVCC_WORKS)
    # check_language tries in a project of its own, where an nvcc that does not work is no error,
    # but trusts a compiler already named.
    if(CMAKE_CUDA_COMPILER)
      set(ENV{CUDACXX} "${CMAKE_CUDA_COMPILER}")
      unset(CMAKE_CUDA_COMPILER)
      unset(CMAKE_CUDA_COMPILER CACHE)
    elseif(NOT DEFINED ENV{CUDACXX})
      # JetPack leaves nvcc off the path.
      find_program(MGDN_NVCC nvcc HINTS ENV CUDA_PATH PATH_SUFFIXES bin PATHS /usr/local/cuda/bin)
      if(MGDN_NVCC)
        set(ENV{CUDACXX} "${MGDN_NVCC}")
      endif()
    endif()
    include(CheckLanguage)
    check_language(CUDA)
    if(CMAKE_CUDA_COMPILER)
      set(MGDN_NVCC_WORKS ON CACHE INTERNAL "An nvcc was found that compiles")
    elseif(NOT MGDN_CUDA STREQUAL AUTO)
      message(FATAL_ERROR "MGDN_CUDA=${MGDN_CUDA} but no nvcc works here; "
        "install CUDA's compiler, pass -DCMAKE_CUDA_COMPILER=/path/to/nvcc or -DMGDN_CUDA=OFF")
    endif()
  endif()
  if(MGDN_CUDA AND MGDN_NVCC_WORKS)
    if(NOT MGDN_CUDA_ARCHITECTURES)
      find_architectures("${CMAKE_CUDA_COMPILER}" MGDN_CUDA_ARCHITECTURES)
    endif()
    set(CMAKE_CUDA_ARCHITECTURES "${MGDN_CUDA_ARCHITECTURES}")
    enable_language(CUDA)
    set(${result} ON)
  endif()
endmacro()
