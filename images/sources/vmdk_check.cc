#include "images/sources/vmdk_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/text.h"
#include "images/sources/header_fields.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint64_t kSector = 512;
constexpr uint64_t kMaxDescriptor = 1 << 20;  // bytes, as in QEMU
constexpr size_t kMaxExtents = 2048;
constexpr size_t kMaxWords = 120;  // bytes of a descriptor that are shown
constexpr std::string_view kMagic = "KDMV";

constexpr std::array<std::string_view, 6> kKinds{"monolithicSparse",     "monolithicFlat",
                                                 "twoGbMaxExtentSparse", "twoGbMaxExtentFlat",
                                                 "streamOptimized",      "vmfs"};

void expect_readable_kind(std::string_view kind, const std::string& path) {
  if (kind.empty() || std::find(kKinds.begin(), kKinds.end(), kind) != kKinds.end()) return;
  bool is_snapshot = kind == "vmfsSparse" || kind == "seSparse";
  throw Error(
      ErrorCode::unsupported,
      fmt::format("{} is a VMDK of the kind '{}', which cannot be read: {}", path,
                  base::clean_text(kind, kMaxWords),
                  is_snapshot
                      ? "it is a snapshot's disk of ESXi. Delete or consolidate the "
                        "snapshots there, or export the machine as OVF or OVA"
                      : "export the machine as OVF or OVA, or copy the disk with vmkfstools "
                        "-i"));
}

std::optional<uint64_t> number_of(std::string_view text) {
  uint64_t value = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The words of an extent's line up to the name: 'RW 8192 FLAT'.
std::vector<std::string_view> words_before(std::string_view text) {
  std::vector<std::string_view> words;
  while (words.size() < 4) {
    size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) break;
    text.remove_prefix(begin);
    words.push_back(text.substr(0, text.find_first_of(" \t")));
    text.remove_prefix(words.back().size());
  }
  return words;
}

// 'RW 8192 FLAT "disk-flat.vmdk" 0': the bytes that the file must have; 0: its header tells.
// `rest` is what follows the name. QEMU skips lines that it does not understand.
uint64_t size_of_extent(std::string_view line, std::string_view before, std::string_view rest,
                        const std::string& path) {
  std::vector<std::string_view> words = words_before(before);
  auto sectors = words.size() == 3 ? number_of(words[1]) : std::nullopt;
  bool is_flat = words.size() == 3 && (words[2] == "FLAT" || words[2] == "VMFS");
  bool is_known = words.size() == 3 && words[0] == "RW" && (is_flat || words[2] == "SPARSE");
  if (!is_known || !sectors || *sectors > UINT64_MAX / kSector / 4) {
    throw Error(ErrorCode::unsupported,
                fmt::format("{} has a part of a kind that cannot be read: {}", path,
                            base::clean_text(line, kMaxWords)));
  }
  if (!is_flat) return 0;
  std::string start = base::trim(rest);
  uint64_t offset = number_of(start.substr(0, start.find_first_of(" \t"))).value_or(0);
  return (std::min(offset, UINT64_MAX / kSector / 4) + *sectors) * kSector;
}

bool is_extent(std::string_view line) {
  std::vector<std::string_view> words = words_before(line);
  return words.size() >= 2 &&
         (words[0] == "RW" || words[0] == "RDONLY" || words[0] == "NOACCESS") &&
         number_of(words[1]);
}

// The lines of a descriptor: 'createType="…"', extents, and 'parentFileNameHint="base.vmdk"'.
void read_descriptor(std::string_view text, bool with_extents, const std::string& path,
                     ImageReferences& found) {
  constexpr std::string_view kParent = "parentFileNameHint=\"", kKind = "createType=\"";
  text = text.substr(0, text.find('\0'));
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    size_t quote = line.find('"');
    if (quote == std::string_view::npos) {
      if (with_extents && is_extent(line)) size_of_extent(line, line, "", path);
      continue;
    }
    std::string_view name = line.substr(quote + 1);
    size_t end = name.find('"');
    std::string_view rest = end == std::string_view::npos ? "" : name.substr(end + 1);
    name = name.substr(0, end);
    // QEMU accepts the hint anywhere.
    if (line.find(kParent) != std::string_view::npos) {
      std::string_view hint = line.substr(line.find(kParent) + kParent.size());
      found.base = hint.substr(0, hint.find('"'));
      found.base_format = "vmdk";
    } else if (line.starts_with(kKind)) {
      expect_readable_kind(name, path);
    } else if (with_extents && line.find("RW") < quote && found.extents.size() < kMaxExtents) {
      found.extents.emplace_back(name);
      found.extent_sizes.push_back(size_of_extent(line, line.substr(0, quote), rest, path));
    } else if (with_extents && is_extent(line)) {
      size_of_extent(line, line.substr(0, quote), rest, path);
    }
  }
}

// A sparse file's header, from its end if the beginning says so (stream-optimised).
struct SparseHeader {
  uint64_t size = 0;        // of the file, bytes
  uint64_t capacity = 0;    // of the disk, sectors
  uint64_t grain = 0;       // sectors
  uint64_t table_size = 0;  // entries of a table of grains
  uint64_t directory = 0;   // of tables, sectors from the file's begin
  bool is_compressed = false;
};

[[noreturn]] void fail_cut_off(const std::string& path) {
  throw Error(ErrorCode::corrupt,
              path +
                  " is cut off or damaged: part of its content lies beyond its end. Copy or "
                  "export it again");
}

std::optional<SparseHeader> read_sparse_header(const FilePart& part, const std::string& path) {
  constexpr uint64_t kCompressed = 1u << 16;
  std::string header = read_text(part, 0, kSector);
  if (!header.starts_with(kMagic)) return std::nullopt;
  SparseHeader found;
  found.size = size_of(part);
  if (HeaderFields(header).little_endian(56, 8) == UINT64_MAX) {
    if (found.size < 3 * kSector) fail_cut_off(path);
    header = read_text(part, found.size - 2 * kSector, kSector);
    if (!header.starts_with(kMagic)) fail_cut_off(path);
  }
  HeaderFields fields(header);
  found.is_compressed = (fields.little_endian(8, 4) & kCompressed) != 0;
  found.capacity = fields.little_endian(12, 8);
  found.grain = fields.little_endian(20, 8);
  found.table_size = fields.little_endian(44, 4);
  found.directory = fields.little_endian(56, 8);
  constexpr uint64_t kMostSectors = 1ull << 37, kLargest = 1 << 16;
  bool possible = found.capacity <= kMostSectors && found.grain > 0 && found.grain <= kLargest &&
                  found.table_size > 0 && found.table_size <= kLargest;
  if (!possible) throw Error(ErrorCode::corrupt, path + " is damaged: its header is impossible");
  return found;
}

// The numbers of a table, or as many as are asked for.
std::vector<uint32_t> read_table(const FilePart& part, uint64_t offset, uint64_t count,
                                 const std::string& path) {
  std::string text = read_text(part, offset, count * 4);
  if (text.size() != count * 4) fail_cut_off(path);
  std::vector<uint32_t> table(count);
  HeaderFields fields(text);
  for (size_t i = 0; i < count; ++i)
    table[i] = static_cast<uint32_t>(fields.little_endian(4 * i, 4));
  return table;
}

}  // namespace

ImageReferences read_vmdk(const FilePart& part, const std::string& path) {
  ImageReferences found;
  std::string header = read_text(part, 0, kSector);
  if (header.starts_with("COWD")) {
    expect_readable_kind("vmfsSparse", path);
  } else if (header.starts_with(kMagic)) {
    HeaderFields fields(header);
    uint64_t capacity = fields.little_endian(12, 8), sector = fields.little_endian(28, 8);
    uint64_t size = std::min(fields.little_endian(36, 8), kMaxDescriptor / kSector);
    if (sector != 0 && sector <= UINT64_MAX / kSector / 2) {
      // If it has a capacity of its own, the file is its only extent.
      read_descriptor(read_text(part, sector * kSector, size * kSector), capacity == 0, path,
                      found);
    }
    if (capacity != 0) require_whole_sparse_vmdk(part, path);
  } else {
    read_descriptor(read_text(part, 0, kMaxDescriptor), true, path, found);
  }
  return found;
}

void require_whole_sparse_vmdk(const FilePart& part, const std::string& path) {
  auto header = read_sparse_header(part, path);
  if (!header) return;
  uint64_t grain_count = (header->capacity + header->grain - 1) / header->grain;
  uint64_t table_count = (grain_count + header->table_size - 1) / header->table_size;
  constexpr uint64_t kAtOnce = 1 << 16;  // entries of the directory
  // The smallest that a stored grain can be: of a compressed one, its marker.
  uint64_t least = header->is_compressed ? kSector : header->grain * kSector;
  for (uint64_t first = 0; first < table_count; first += kAtOnce) {
    uint64_t count = std::min(kAtOnce, table_count - first);
    if (header->directory > UINT64_MAX / kSector / 2) fail_cut_off(path);
    auto directory = read_table(part, header->directory * kSector + first * 4, count, path);
    for (uint32_t place : directory) {
      if (place == 0) continue;
      for (uint32_t grain : read_table(part, uint64_t{place} * kSector, header->table_size, path)) {
        // 0: not stored; 1: zeros.
        if (grain > 1 && uint64_t{grain} * kSector + least > header->size) fail_cut_off(path);
      }
    }
  }
}

}  // namespace images
