# CMake toolchain of the native library for aarch64 boards:
#   cmake -S . -B build/aarch64 -DCMAKE_TOOLCHAIN_FILE=plugins/aarch64.cmake
# Needs Debian's or Ubuntu's g++-aarch64-linux-gnu. The CUDA kernel is built where nvcc is found
# and the aarch64 CUDA runtime too: in nvcc's own targets/aarch64-linux, or in MGDN_AARCH64_CUDART
# (environment; a folder with libcudart_static.a), which `make aarch64` fetches.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

find_program(MGDN_NVCC nvcc HINTS ENV CUDA_PATH PATH_SUFFIXES bin PATHS /usr/local/cuda/bin)
if(MGDN_NVCC)
  # nvcc may be a script or a link elsewhere: it says itself where its toolkit lies.
  execute_process(COMMAND "${MGDN_NVCC}" --dryrun toolkit.cu ERROR_VARIABLE said OUTPUT_QUIET)
  string(REGEX MATCH "TOP=([^\n]*)" found "${said}")
  get_filename_component(cuda "${CMAKE_MATCH_1}" ABSOLUTE)
  # With a host compiler of aarch64, nvcc looks into targets/aarch64-linux only, which a desktop's
  # toolkit lacks. Its headers are the same for every processor; the libraries are not.
  if(EXISTS "${cuda}/targets/aarch64-linux/lib/libcudart_static.a")
    set(CMAKE_CUDA_COMPILER "${MGDN_NVCC}")
  elseif(EXISTS "$ENV{MGDN_AARCH64_CUDART}/libcudart_static.a")
    set(CMAKE_CUDA_COMPILER "${MGDN_NVCC}")
    set(CMAKE_CUDA_FLAGS_INIT
      "-I${cuda}/include -I${cuda}/include/cccl -L$ENV{MGDN_AARCH64_CUDART}")
  else()
    set(MGDN_CUDA OFF CACHE STRING "No CUDA runtime for aarch64: set MGDN_AARCH64_CUDART")
  endif()
  set(CMAKE_CUDA_HOST_COMPILER "${CMAKE_CXX_COMPILER}")
endif()
