#include "images/chunk_encoder.h"

#include <fmt/format.h>
#include <zstd.h>

#include "base/check.h"
#include "base/error.h"

namespace images {

struct ChunkEncoder::State {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  base::Bytes output;
  ~State() { ZSTD_freeCCtx(context); }
};

ChunkEncoder::ChunkEncoder(int level) : state_(std::make_unique<State>()) {
  constexpr int kMaxLevel = 19;
  if (level < 1 || level > kMaxLevel) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      fmt::format("compression level {} is not in 1 to {}", level, kMaxLevel));
  }
  CHECK(state_->context != nullptr);
  auto set = [&](ZSTD_cParameter parameter, int value) {
    CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(state_->context, parameter, value)));
  };
  set(ZSTD_c_compressionLevel, level);
  if (level == 1) {
    // Measured on pieces of 64 KiB: a smaller table with shorter matches than the level's own is 6
    // % faster and stores half a per cent less (docs/performance.md).
    set(ZSTD_c_hashLog, 12);
    set(ZSTD_c_minMatch, 5);
  }
}

ChunkEncoder::~ChunkEncoder() = default;

EncodedChunk ChunkEncoder::encode(base::ByteView plain) {
  // zstd gets room for one byte less than it was given, so it fails exactly when it does not shrink
  // them.
  size_t room = plain.empty() ? 0 : plain.size() - 1;
  if (state_->output.size() < room) state_->output.resize(room);
  size_t size =
      ZSTD_compress2(state_->context, state_->output.data(), room, plain.data(), plain.size());
  if (ZSTD_isError(size)) return {Codec::raw, base::Bytes(plain.begin(), plain.end())};
  return {Codec::zstd, base::Bytes(state_->output.data(), state_->output.data() + size)};
}

}  // namespace images
