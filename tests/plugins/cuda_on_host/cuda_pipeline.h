// Asynchronous copies for cuda_runtime.h beside it: done at once or as late as CUDA allows, as
// mgdn_cuda_on_host_schedule says.
#pragma once

#include <stddef.h>

void __pipeline_memcpy_async(void* shared, const void* global, size_t bytes);
void __pipeline_commit();
void __pipeline_wait_prior(size_t groups);
