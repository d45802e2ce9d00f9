#define MGDN_VECTOR_BYTES 64
#include "tile_kernel.h"

const mgdn::TileKernels mgdn::avx512_tiles = TILE_KERNELS;
