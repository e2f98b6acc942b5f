// One value of each record of the store's format: for golden bytes, and as what a fuzzer begins
// with.
#pragma once

#include "images/format/store_format.h"
#include "images/point.h"
#include "images/store/index/chunk_index.h"

namespace images::samples {

// Bytes first, first + 1, …
template <typename AnyId>
AnyId id(uint8_t first) {
  AnyId made;
  for (size_t i = 0; i < AnyId::kSize; ++i) made.bytes[i] = static_cast<uint8_t>(first + i);
  return made;
}

template <size_t kSize>
std::array<uint8_t, kSize> bytes(uint8_t first) {
  std::array<uint8_t, kSize> made;
  for (size_t i = 0; i < kSize; ++i) made[i] = static_cast<uint8_t>(first + i);
  return made;
}

inline base::Key256 key() { return bytes<32>(100); }

inline format::StoreParameters parameters() { return {id<StoreId>(1), 65536, 64, true}; }

inline format::WrappedKey wrapped_key() {
  return {format::KeyDerivation::scrypt, 16, bytes<32>(10), bytes<12>(50), bytes<48>(70)};
}

inline format::RecordHeader record_header() {
  return {format::RecordKind::chunk,
          Codec::zstd,
          format::Cipher::aes_256_gcm,
          1234,
          65536,
          id<ChunkId>(9),
          bytes<12>(200),
          0x0123456789abcdef};
}

inline std::vector<format::DirectoryEntry> directory() {
  return {{format::RecordKind::chunk, 64, 100, id<ChunkId>(9)},
          {format::RecordKind::node, 236, 48, id<ChunkId>(10)}};
}

inline format::Node node() {
  format::Node made;
  made.level = 3;
  made.children.resize(64);
  made.children[0] = id<ChunkId>(1);
  made.children[17] = id<ChunkId>(2);
  made.children[63] = id<ChunkId>(3);
  return made;
}

inline PointLineage lineage() {
  return {id<PointId>(80), PointOrigin{id<StoreId>(110), id<PointId>(3)}};
}

inline Point point() {
  Point made;
  made.id = id<PointId>(3);
  made.machine = id<MachineId>(4);
  made.machine_name = "accounting";
  made.host = "kvm1";
  made.time_ms = 1795000000000;
  made.dates = {1795000000100, 1795000000200, false, true};
  made.consistency = Consistency::file_system;
  made.definition.firmware = Firmware::uefi;
  made.definition.cpu_count = 4;
  made.definition.memory_size = 8ull << 30;
  made.definition.network_cards = {{"52:54:00:12:34:56", "virtio", "lan"}};
  made.definition.libvirt_xml = "<domain/>";
  made.definition.state_files = {{"vars", {1, 2, 3}}};
  made.disks = {{"vda", 40ull << 30, id<ChunkId>(5), id<DiskKey>(6)},
                {"vdb", 512, {}, id<DiskKey>(7)}};
  made.figures = {1, 2, 3, 4, 5};
  made.note = "full read";
  made.lineage = lineage();
  return made;
}

inline format::PublicManifest public_manifest() {
  return {id<PointId>(3),
          id<MachineId>(4),
          1795000000000,
          Consistency::application,
          {{id<DiskKey>(6), 40ull << 30, id<ChunkId>(5)}},
          {1795000000100, 1795000000200, false, true},
          lineage()};
}

inline ChunkEntry chunk_entry() {
  return {7, 64, 1234, 3, 2, format::RecordKind::node, true, false};
}

inline TimelineChange change() {
  return {TimelineChange::Kind::remove, public_manifest(), public_manifest().disks, {}, 65536};
}

}  // namespace images::samples
