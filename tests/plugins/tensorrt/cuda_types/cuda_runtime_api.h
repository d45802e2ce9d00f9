// What TensorRT's headers need of CUDA's, so that the harness builds without the CUDA toolkit.
#pragma once

typedef struct CUstream_st* cudaStream_t;
typedef struct CUevent_st* cudaEvent_t;
