// The C interface over the attention kernels: checks the contract, picks the instruction set.
#include "mgdn.h"
#include "tiles.h"

namespace {

using mgdn::AttentionShape;

// True if the byte size of qkv does not fit.
bool too_large(const MgdnWindowAttention& attention) {
  int64_t size = 3 * int64_t(attention.head_size) * int64_t(sizeof(float));
  return __builtin_mul_overflow(size, int64_t(attention.heads), &size) ||
         __builtin_mul_overflow(size, attention.batch, &size) ||
         __builtin_mul_overflow(size, attention.height, &size) ||
         __builtin_mul_overflow(size, attention.width, &size);
}

int32_t check_attention(const MgdnWindowAttention* attention) {
  if (!attention) {
    return MGDN_NULL_POINTER;
  }
  const int32_t window = attention->window;
  if ((window != 4 && window != 8) || attention->shift < 0 || attention->shift >= window ||
      attention->head_size < 1 || attention->head_size > mgdn::MAX_HEAD_SIZE ||
      attention->implementation < MGDN_BEST || attention->implementation > MGDN_AVX512) {
    return MGDN_BAD_ATTRIBUTE;
  }
  if (attention->batch < 1 || attention->height < 1 || attention->width < 1 ||
      attention->heads < 1 || attention->height % window || attention->width % window ||
      too_large(*attention)) {
    return MGDN_BAD_SHAPE;
  }
  if (!attention->qkv || !attention->bias || !attention->out) {
    return MGDN_NULL_POINTER;
  }
  return mgdn_implementation_usable(attention->implementation) ? MGDN_OK : MGDN_UNSUPPORTED_CPU;
}

void attend_row_slowly(const AttentionShape& shape, const float* qkv, const float* bias, float* out,
                       int64_t n, int64_t row) {
  const int64_t image = shape.height * shape.width * shape.heads * shape.head_size;
  for (int64_t column = 0; column < shape.width / shape.window; ++column) {
    mgdn::attend_window(shape, qkv + n * 3 * image, bias, out + n * image, row, column);
  }
}

}  // namespace

extern "C" {

int32_t mgdn_window_attention_bands(const MgdnWindowAttention* attention, int64_t* bands) {
  const int32_t status = bands ? check_attention(attention) : MGDN_NULL_POINTER;
  if (status == MGDN_OK) {
    *bands = attention->batch * (attention->height / attention->window);
  }
  return status;
}

int32_t mgdn_window_attention_run(const MgdnWindowAttention* attention, int64_t first,
                                  int64_t last) {
  int64_t bands = 0;
  const int32_t status = mgdn_window_attention_bands(attention, &bands);
  if (status != MGDN_OK) {
    return status;
  }
  if (first < 0 || first > last || last > bands) {
    return MGDN_BAD_BANDS;
  }
  const AttentionShape shape = {attention->batch,     attention->height, attention->width,
                                attention->heads,     attention->head_size,
                                attention->window,    attention->shift};
  const mgdn::TileKernels* kernels = mgdn::find_kernels(attention->implementation);
  const mgdn::AttendRow attend =
      kernels ? kernels->attend[attention->window == 8] : attend_row_slowly;
  const int64_t rows = attention->height / attention->window;
  for (int64_t band = first; band < last; ++band) {
    attend(shape, attention->qkv, attention->bias, attention->out, band / rows, band % rows);
  }
  return MGDN_OK;
}

}  // extern "C"
