#define MGDN_VECTOR_BYTES 64
#include "attention_kernel.h"
#include "token_kernel.h"
#include "wide_rows.h"

const mgdn::TileKernels mgdn::avx512_tiles = {
    {filter_rows_wide<3, float>, filter_rows_wide<5, float>, filter_rows_wide<7, float>},
    {filter_rows_wide<3, Half>, filter_rows_wide<5, Half>, filter_rows_wide<7, Half>},
    {attend_row<4>, attend_row<8>},
    run_tokens,
};
