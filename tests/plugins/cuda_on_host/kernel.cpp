// The CUDA kernel's source under a name that CMake gives to the C++ compiler.
#include "dynamic_filter.cu"
