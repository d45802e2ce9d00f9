// The C interface over the token layers: checks the contract, picks the instruction set.
#include "mgdn.h"
#include "tiles.h"
#include "token_layer_core.h"

namespace {

// Copying the weights is a hundredth of a band's work.
constexpr int64_t TOKENS_PER_BAND = 2048;

int32_t check_layer(const MgdnTokenLayer* layer) {
  if (!layer) {
    return MGDN_NULL_POINTER;
  }
  if (layer->implementation < MGDN_BEST || layer->implementation > MGDN_AVX512) {
    return MGDN_BAD_ATTRIBUTE;
  }
  int64_t bytes = int64_t(sizeof(float)) * mgdn::MAX_TOKEN_HIDDEN;
  if (layer->tokens < 1 || layer->channels < 1 || layer->channels > mgdn::MAX_TOKEN_CHANNELS ||
      layer->hidden < 1 || layer->hidden > mgdn::MAX_TOKEN_HIDDEN ||
      __builtin_mul_overflow(bytes, layer->tokens, &bytes)) {
    return MGDN_BAD_SHAPE;
  }
  const bool common = layer->x && layer->scale && layer->shift && layer->weight1 &&
                      layer->bias1 && layer->out;
  const bool mlp = layer->weight2 && layer->bias2 && layer->weight0 && layer->bias0;
  if (!common || !(layer->a ? mlp : layer->normed != nullptr)) {
    return MGDN_NULL_POINTER;
  }
  return mgdn_implementation_usable(layer->implementation) ? MGDN_OK : MGDN_UNSUPPORTED_CPU;
}

void run_tokens_slowly(const MgdnTokenLayer& layer, int64_t first, int64_t last) {
  for (int64_t token = first; token < last; ++token) {
    mgdn::run_token_slowly(layer, token);
  }
}

}  // namespace

extern "C" {

int32_t mgdn_token_layer_bands(const MgdnTokenLayer* layer, int64_t* bands) {
  const int32_t status = bands ? check_layer(layer) : MGDN_NULL_POINTER;
  if (status == MGDN_OK) {
    *bands = (layer->tokens + TOKENS_PER_BAND - 1) / TOKENS_PER_BAND;
  }
  return status;
}

int32_t mgdn_token_layer_run(const MgdnTokenLayer* layer, int64_t first, int64_t last) {
  int64_t bands = 0;
  const int32_t status = mgdn_token_layer_bands(layer, &bands);
  if (status != MGDN_OK) {
    return status;
  }
  if (first < 0 || first > last || last > bands) {
    return MGDN_BAD_BANDS;
  }
  const mgdn::TileKernels* kernels = mgdn::find_kernels(layer->implementation);
  const mgdn::RunTokens run = kernels ? kernels->run_tokens : run_tokens_slowly;
  for (int64_t band = first; band < last; ++band) {
    const int64_t end = (band + 1) * TOKENS_PER_BAND;
    run(*layer, band * TOKENS_PER_BAND, end < layer->tokens ? end : layer->tokens);
  }
  return MGDN_OK;
}

}  // extern "C"
