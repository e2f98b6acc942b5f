// Identifiers, each a type of its own so that no two kinds can be mixed up. Values; thread-safe.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/crypto.h"

namespace images {

template <typename Tag, size_t kBytes>
struct Id {
  static constexpr size_t kSize = kBytes;
  std::array<uint8_t, kBytes> bytes{};

  auto operator<=>(const Id&) const = default;
  bool is_zero() const { return *this == Id{}; }
  base::ByteView view() const { return bytes; }
  std::string hex() const { return base::to_hex(bytes); }

  // Throws invalid_argument unless `text` is 2 × kSize hexadecimal digits.
  static Id from_hex(std::string_view text) {
    Id id;
    base::Bytes parsed = base::from_hex(text, kBytes);
    std::copy(parsed.begin(), parsed.end(), id.bytes.begin());
    return id;
  }
  static Id random() { return Id{base::random_array<kBytes>()}; }
};

// Content hash of a chunk or a tree node. All zero means "a chunk, or a whole subtree, of zeros".
using ChunkId = Id<struct ChunkTag, 32>;
using PointId = Id<struct PointTag, 16>;
using PackId = Id<struct PackTag, 16>;
using StoreId = Id<struct StoreTag, 16>;
// Derived from the machine's name, so that every sync with one name in one store is on one
// timeline.
using MachineId = Id<struct MachineTag, 16>;
// Derived from a disk's name: identifies the same disk in two points.
using DiskKey = Id<struct DiskTag, 16>;

}  // namespace images

template <typename Tag, size_t kBytes>
struct std::hash<images::Id<Tag, kBytes>> {
  size_t operator()(const images::Id<Tag, kBytes>& id) const noexcept {
    size_t value;  // ids are uniformly distributed: their first bytes are already a hash
    std::memcpy(&value, id.bytes.data(), sizeof value);
    return value;
  }
};
