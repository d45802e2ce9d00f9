#define MGDN_VECTOR_BYTES 16
#include "tile_kernel.h"

const mgdn::TileKernels mgdn::baseline_tiles = TILE_KERNELS;
