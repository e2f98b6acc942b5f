#include "images/codec.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/error.h"

namespace images {
namespace {

// Memory for results; one block holds a whole batch of the sync engine, and the largest chunk.
constexpr size_t kBlockSize = 1u << 20;

ZSTD_DCtx* thread_decompressor() {
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  thread_local std::unique_ptr<ZSTD_DCtx, Free> context(ZSTD_createDCtx());
  CHECK(context != nullptr);
  return context.get();
}

}  // namespace

// Results lie one after the other: a separate allocation for each would cost every chunk a copy,
// and with many threads page faults as well (docs/performance.md).
struct ChunkEncoder::State {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  std::vector<std::unique_ptr<uint8_t[]>> blocks;
  size_t block_count = 0;    // in use
  size_t used = kBlockSize;  // bytes of the last of them
  ~State() { ZSTD_freeCCtx(context); }

  // Valid for `size` bytes.
  uint8_t* room_for(size_t size) {
    CHECK(size <= kBlockSize);
    if (kBlockSize - used < size) {
      if (block_count == blocks.size())
        blocks.push_back(std::make_unique_for_overwrite<uint8_t[]>(kBlockSize));
      ++block_count;
      used = 0;
    }
    return blocks[block_count - 1].get() + used;
  }
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
  // zstd gets room for one byte less than its input, so it fails exactly if it does not shrink it.
  size_t room = plain.empty() ? 0 : plain.size() - 1;
  uint8_t* output = state_->room_for(plain.size());
  size_t size = ZSTD_compress2(state_->context, output, room, plain.data(), plain.size());
  Codec codec = Codec::zstd;
  if (ZSTD_isError(size)) {
    codec = Codec::raw;
    size = plain.size();
    std::copy(plain.begin(), plain.end(), output);
  }
  state_->used += size;
  return {codec, {output, size}};
}

void ChunkEncoder::forget() {
  state_->block_count = 0;
  state_->used = kBlockSize;
}

void decode_chunk(Codec codec, base::ByteView bytes, base::MutableByteView plain) {
  if (codec == Codec::raw) {
    if (bytes.size() != plain.size())
      throw base::Error(base::ErrorCode::corrupt, "a chunk has the wrong length");
    std::copy(bytes.begin(), bytes.end(), plain.begin());
    return;
  }
  size_t size = ZSTD_decompressDCtx(thread_decompressor(), plain.data(), plain.size(), bytes.data(),
                                    bytes.size());
  if (ZSTD_isError(size) || size != plain.size()) {
    throw base::Error(base::ErrorCode::corrupt, "a chunk's compressed bytes are damaged");
  }
}

}  // namespace images
