#define MGDN_VECTOR_BYTES 16
#include "attention_kernel.h"
#include "tile_kernel.h"
#include "token_kernel.h"

const mgdn::TileKernels mgdn::baseline_tiles = {
    {filter_rows<3, float>, filter_rows<5, float>, filter_rows<7, float>},
    {filter_rows<3, Half>, filter_rows<5, Half>, filter_rows<7, Half>},
    {attend_row<4>, attend_row<8>},
    run_tokens,
};
