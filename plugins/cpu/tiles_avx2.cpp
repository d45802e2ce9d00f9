#define MGDN_VECTOR_BYTES 32
#include "tile_kernel.h"

const mgdn::TileKernels mgdn::avx2_tiles = TILE_KERNELS;
