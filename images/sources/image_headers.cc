#include "images/sources/image_headers.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "base/unique_fd.h"
#include "images/sources/differencing_chain.h"
#include "images/sources/header_fields.h"
#include "images/sources/vmdk_check.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;
using Fields = HeaderFields;

constexpr uint64_t kMaxName = 1023;        // bytes; QEMU's own limit for backing files
constexpr uint64_t kMaxHeader = 64 << 10;  // bytes of qcow2's first cluster that are examined
constexpr uint64_t kFooterSize = 512;      // of a VHD

constexpr std::string_view kQcowMagic = "QFI\xfb";
constexpr std::string_view kVmdkText = "# Disk DescriptorFile";
constexpr std::string_view kVhdMagic = "conectix";

std::string name_at(const FilePart& part, uint64_t offset, uint64_t size, const std::string& path) {
  if (offset == 0 || size == 0) return "";
  std::string name = size > kMaxName ? "" : read_text(part, offset, size);
  if (name.size() != size) {
    throw Error(ErrorCode::corrupt,
                path + " is damaged: the name of the file it is built on is not in it");
  }
  return name.substr(0, name.find('\0'));
}

// The extensions of qcow2's header: type, length, and content padded to 8 bytes.
void read_qcow2_extensions(std::string_view header, uint64_t at, uint64_t end, bool has_data_file,
                           ImageReferences& found) {
  constexpr uint64_t kBackingFormat = 0xe2792aca, kDataFile = 0x44415441;
  Fields fields(header);
  end = std::min<uint64_t>(end, header.size());
  while (at + 8 <= end) {
    uint64_t type = fields.big_endian(at, 4), size = fields.big_endian(at + 4, 4);
    at += 8;
    if (type == 0 || size > end - at) return;
    if (type == kBackingFormat) found.base_format = header.substr(at, size);
    if (type == kDataFile && has_data_file) found.data_file = header.substr(at, size);
    at += (size + 7) / 8 * 8;
  }
}

ImageReferences read_qcow(const FilePart& part, const std::string& format,
                          const std::string& path) {
  constexpr uint64_t kDataFileBit = 1u << 2, kFirstHeaderSize = 72;
  constexpr uint64_t kMinClusterBits = 9, kMaxClusterBits = 21;
  ImageReferences found;
  std::string header = read_text(part, 0, kMaxHeader);
  Fields fields(header);
  if (!header.starts_with(kQcowMagic)) return found;
  uint64_t version = fields.big_endian(4, 4);
  if ((version == 1) != (format == "qcow")) return found;
  // Version 1 has the encryption method at another offset.
  if (fields.big_endian(version == 1 ? 36 : 32, 4) != 0) {
    throw Error(ErrorCode::unsupported, path + " is encrypted: its content cannot be read");
  }
  uint64_t name_offset = fields.big_endian(8, 8);
  found.base = name_at(part, name_offset, fields.big_endian(16, 4), path);
  if (version == 1) {
    found.base_format = found.base.empty() ? "" : "raw";
    return found;
  }
  uint64_t cluster_bits = fields.big_endian(20, 4);
  if (cluster_bits >= kMinClusterBits && cluster_bits <= kMaxClusterBits)
    found.qcow2_cluster_size = uint64_t{1} << cluster_bits;
  bool has_data_file = version >= 3 && (fields.big_endian(72, 8) & kDataFileBit) != 0;
  uint64_t extensions = version >= 3 ? fields.big_endian(100, 4) : kFirstHeaderSize;
  uint64_t end = name_offset == 0 ? header.size() : name_offset;
  read_qcow2_extensions(header, extensions, end, has_data_file, found);
  if (has_data_file && found.data_file.empty()) {
    throw Error(ErrorCode::corrupt,
                path + " is damaged: it does not name the file that its content lies in");
  }
  return found;
}

ImageReferences read_qed(const FilePart& part, const std::string& path) {
  constexpr uint64_t kHasBase = 1, kBaseIsRaw = 4;
  ImageReferences found;
  std::string header = read_text(part, 0, 64);
  Fields fields(header);
  uint64_t features = fields.little_endian(16, 8);
  if (!header.starts_with(std::string_view("QED\0", 4)) || (features & kHasBase) == 0) return found;
  found.base = name_at(part, fields.little_endian(56, 4), fields.little_endian(60, 4), path);
  if ((features & kBaseIsRaw) != 0) found.base_format = "raw";
  return found;
}

}  // namespace

uint64_t size_of(const FilePart& part) {
  off_t end = ::lseek(part.fd, 0, SEEK_END);
  if (end < 0 || static_cast<uint64_t>(end) < part.offset) return 0;
  return std::min(part.size, static_cast<uint64_t>(end) - part.offset);
}

std::string read_text(const FilePart& part, uint64_t offset, uint64_t size) {
  if (offset >= part.size || offset > UINT64_MAX / 2 - part.offset) return "";
  std::string text(std::min(size, part.size - offset), '\0');
  size_t have = 0;
  while (have < text.size()) {
    ssize_t count = ::pread(part.fd, text.data() + have, text.size() - have,
                            static_cast<off_t>(part.offset + offset + have));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EINVAL) break;  // an offset that no file has
    if (count < 0) throw base::system_error(errno, "cannot read the image's header");
    if (count == 0) break;
    have += static_cast<size_t>(count);
  }
  text.resize(have);
  return text;
}

ImageReferences read_references(const FilePart& part, const std::string& format,
                                const std::string& path) {
  if (format == "qcow2" || format == "qcow") return read_qcow(part, format, path);
  if (format == "qed") return read_qed(part, path);
  if (format == "vmdk") return read_vmdk(part, path);
  if (format == "vpc" || format == "vhdx") refuse_differencing(part, format, path);
  return {};
}

uint32_t qcow2_version(const std::string& path) {
  base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return 0;
  try {
    std::string header = read_text({file.get()}, 0, 8);
    if (!header.starts_with(kQcowMagic)) return 0;
    return static_cast<uint32_t>(Fields(header).big_endian(4, 4));
  } catch (const base::Error&) {
    return 0;
  }
}

std::optional<std::string> image_format_it_looks_like(int fd) {
  FilePart part{fd};
  std::string head = read_text(part, 0, 512);
  Fields fields(head);
  if (head.starts_with(kQcowMagic)) return fields.big_endian(4, 4) == 1 ? "qcow" : "qcow2";
  if (head.starts_with("KDMV") || head.starts_with("COWD") || head.starts_with(kVmdkText))
    return "vmdk";
  if (head.starts_with("vhdxfile")) return "vhdx";
  if (head.starts_with(kVhdMagic)) return "vpc";
  if (fields.little_endian(64, 4) == 0xbeda107f) return "vdi";
  if (head.starts_with(std::string_view("QED\0", 4))) return "qed";
  if (head.starts_with("WithoutFreeSpace") || head.starts_with("WithouFreSpacExt"))
    return "parallels";
  uint64_t end = size_of(part);
  if (end >= kFooterSize && read_text(part, end - kFooterSize, 8) == kVhdMagic) return "vpc";
  return std::nullopt;
}

}  // namespace images
