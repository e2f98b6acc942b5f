#include "images/sources/nbd_disk_source.h"

#include <fmt/format.h>
#include <libnbd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <optional>

#include "base/check.h"
#include "base/error.h"
#include "base/guarded.h"

namespace images {
namespace {

// Every server accepts it, according to the protocol.
constexpr uint64_t kDefaultMaxRead = 32u << 20;
constexpr uint64_t kMaxStatusLength = 2u << 30;  // a status request's length has 32 bits
constexpr char kBitmapContext[] = "qemu:dirty-bitmap:";
constexpr uint32_t kAllocationZero = 2;  // base:allocation: reads as zeros
constexpr uint32_t kBitmapDirty = 1;     // qemu:dirty-bitmap: changed since
// Asking QEMU for allocation makes it walk its tables for the whole range; reading a shorter
// changed range and finding it zero costs less.
constexpr uint64_t kWorthAsking = 1u << 20;  // bytes

[[noreturn]] void fail(base::ErrorCode code, const std::string& action) {
  const char* reason = ::nbd_get_error();
  throw base::Error(code,
                    fmt::format("{}: {}", action, reason == nullptr ? "no reason given" : reason));
}

struct Closer {
  void operator()(nbd_handle* handle) const { ::nbd_close(handle); }
};
using Handle = std::unique_ptr<nbd_handle, Closer>;

std::string place_of(const NbdOptions& options) {
  return options.uri.empty() ? options.socket_path : options.uri;
}

// One meta context per connection: a server computes all requested contexts for every answer.
Handle connect(const NbdOptions& options, const std::string& context) {
  std::string action = "cannot read from the NBD server at " + place_of(options);
  Handle handle(::nbd_create());
  if (!handle) fail(base::ErrorCode::io, action);
  bool good = ::nbd_add_meta_context(handle.get(), context.c_str()) == 0;
  if (!options.uri.empty()) {
    good = good && ::nbd_connect_uri(handle.get(), options.uri.c_str()) == 0;
  } else {
    good = good && ::nbd_set_export_name(handle.get(), options.export_name.c_str()) == 0 &&
           ::nbd_connect_unix(handle.get(), options.socket_path.c_str()) == 0;
  }
  if (!good) fail(base::ErrorCode::unavailable, action);
  return handle;
}

// What a server reported for a meta context: consecutive pieces starting at some offset.
struct Piece {
  uint64_t length = 0;
  uint32_t flags = 0;
};

struct StatusAnswer {
  const std::string& context;
  std::vector<Piece> pieces;
};

// Called by libnbd for each context of an answer. Nothing may be thrown through it.
int take_status(void* opaque, const char* context, uint64_t, uint32_t* entries, size_t entry_count,
                int*) {
  auto* answer = static_cast<StatusAnswer*>(opaque);
  if (answer->context != context) return 0;
  try {
    for (size_t i = 0; i + 1 < entry_count; i += 2)
      answer->pieces.push_back({entries[i], entries[i + 1]});
  } catch (const std::bad_alloc&) {
    errno = ENOMEM;
    return -1;
  }
  return 0;
}

// Calls `take(offset, length, flags)` for the pieces that [offset, offset + length) consists of.
template <typename Take>
void for_each_piece(nbd_handle* handle, const std::string& context, uint64_t offset,
                    uint64_t length, Take take) {
  const uint64_t end = offset + length;
  while (offset < end) {
    StatusAnswer answer{context, {}};
    nbd_extent_callback callback{take_status, &answer, nullptr};
    uint64_t asked = std::min(end - offset, kMaxStatusLength);
    if (::nbd_block_status(handle, asked, offset, callback, 0) != 0)
      fail(base::ErrorCode::io, "cannot query what the disk of the NBD server contains");
    const uint64_t before = offset;
    for (const Piece& piece : answer.pieces) {
      uint64_t step = std::min(piece.length, end - offset);
      if (step > 0) take(offset, step, piece.flags);
      offset += step;
    }
    if (offset == before)
      throw base::Error(base::ErrorCode::io, "the NBD server does not say what its disk contains");
  }
}

void append_extent(std::vector<Extent>& extents, uint64_t offset, uint64_t length,
                   ExtentKind kind) {
  if (!extents.empty() && extents.back().kind == kind) extents.back().length += length;
  else extents.push_back({offset, length, kind});
}

}  // namespace

struct NbdDiskSource::State {
  NbdOptions options;
  std::string bitmap_context;  // empty: without a bitmap
  Handle changes;              // queries it; extents() is for one thread
  uint64_t size = 0;
  uint64_t max_read = kDefaultMaxRead;
  bool knows_allocation = false;

  struct Pool {
    std::vector<Handle> idle;
    uint32_t open = 0;  // idle or in use
  };
  base::Guarded<Pool> pool;
  std::condition_variable returned;

  Handle take();
  void give_back(Handle handle);
  void drop();
  void append_allocation(uint64_t offset, uint64_t length, std::vector<Extent>& extents);

  // Runs `use` with a connection. A connection that failed is closed, not reused.
  template <typename Use>
  void with_connection(Use use) {
    Handle handle = take();
    try {
      use(handle.get());
    } catch (...) {
      drop();
      throw;
    }
    give_back(std::move(handle));
  }
};

Handle NbdDiskSource::State::take() {
  {
    auto locked = pool.lock();
    locked.wait(returned,
                [&] { return !locked->idle.empty() || locked->open < options.connection_count; });
    if (!locked->idle.empty()) {
      Handle handle = std::move(locked->idle.back());
      locked->idle.pop_back();
      return handle;
    }
    locked->open += 1;
  }
  try {
    return connect(options, LIBNBD_CONTEXT_BASE_ALLOCATION);
  } catch (...) {
    drop();
    throw;
  }
}

void NbdDiskSource::State::give_back(Handle handle) {
  pool.lock()->idle.push_back(std::move(handle));
  returned.notify_one();
}

void NbdDiskSource::State::drop() {
  pool.lock()->open -= 1;
  returned.notify_one();
}

// Appends which parts of [offset, offset + length) are data and which are zeros.
void NbdDiskSource::State::append_allocation(uint64_t offset, uint64_t length,
                                             std::vector<Extent>& extents) {
  if (!knows_allocation) return append_extent(extents, offset, length, ExtentKind::data);
  with_connection([&](nbd_handle* handle) {
    for_each_piece(handle, LIBNBD_CONTEXT_BASE_ALLOCATION, offset, length,
                   [&](uint64_t begin, uint64_t size_of_piece, uint32_t flags) {
                     bool zero = (flags & kAllocationZero) != 0;
                     append_extent(extents, begin, size_of_piece,
                                   zero ? ExtentKind::zero : ExtentKind::data);
                   });
  });
}

NbdDiskSource::NbdDiskSource(const NbdOptions& options) : state_(std::make_unique<State>()) {
  CHECK(options.connection_count > 0);
  state_->options = options;
  if (!options.dirty_bitmap.empty()) state_->bitmap_context = kBitmapContext + options.dirty_bitmap;
  state_->with_connection([&](nbd_handle* handle) {
    int64_t size = ::nbd_get_size(handle);
    if (size < 0)
      fail(base::ErrorCode::io, "cannot get the size of the disk at " + place_of(options));
    state_->size = static_cast<uint64_t>(size);
    state_->knows_allocation = ::nbd_can_meta_context(handle, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
    int64_t max_read = ::nbd_get_block_size(handle, LIBNBD_SIZE_MAXIMUM);
    if (max_read > 0)
      state_->max_read = std::min(state_->max_read, static_cast<uint64_t>(max_read));
  });
  const std::string& context = state_->bitmap_context;
  if (context.empty()) return;
  state_->changes = connect(options, context);
  if (::nbd_can_meta_context(state_->changes.get(), context.c_str()) != 1) {
    throw base::Error(base::ErrorCode::unsupported,
                      fmt::format("the NBD server at {} has no dirty bitmap '{}'",
                                  place_of(options), options.dirty_bitmap));
  }
}

NbdDiskSource::~NbdDiskSource() = default;

uint64_t NbdDiskSource::size() const { return state_->size; }

std::vector<Extent> NbdDiskSource::extents(uint64_t offset, uint64_t length) {
  CHECK(offset <= state_->size && length <= state_->size - offset);
  std::vector<Extent> extents;
  if (length == 0) return extents;
  if (!state_->changes) {
    state_->append_allocation(offset, length, extents);
    return extents;
  }
  for_each_piece(state_->changes.get(), state_->bitmap_context, offset, length,
                 [&](uint64_t begin, uint64_t size_of_piece, uint32_t flags) {
                   if ((flags & kBitmapDirty) == 0) {
                     append_extent(extents, begin, size_of_piece, ExtentKind::unchanged);
                   } else if (size_of_piece < kWorthAsking) {
                     append_extent(extents, begin, size_of_piece, ExtentKind::data);
                   } else {
                     state_->append_allocation(begin, size_of_piece, extents);
                   }
                 });
  return extents;
}

void NbdDiskSource::read(uint64_t offset, base::MutableByteView out) {
  CHECK(offset <= state_->size && out.size() <= state_->size - offset);
  state_->with_connection([&](nbd_handle* handle) {
    while (!out.empty()) {
      size_t length = std::min<uint64_t>(out.size(), state_->max_read);
      if (::nbd_pread(handle, out.data(), length, offset, 0) != 0) {
        fail(base::ErrorCode::io,
             fmt::format("cannot read {} bytes at byte {} of the disk", length, offset));
      }
      out = out.subspan(length);
      offset += length;
    }
  });
}

}  // namespace images
