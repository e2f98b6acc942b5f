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

namespace images {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint64_t kMaxName = 1023;           // bytes; QEMU's own limit for backing files
constexpr uint64_t kMaxHeader = 64 << 10;     // bytes of qcow2's first cluster that are examined
constexpr uint64_t kMaxDescriptor = 1 << 20;  // bytes of a VMDK descriptor, as in QEMU
constexpr size_t kMaxExtents = 2048;
constexpr uint64_t kFooterSize = 512;  // of a VHD

constexpr std::string_view kQcowMagic = "QFI\xfb";
constexpr std::string_view kVmdkText = "# Disk DescriptorFile";
constexpr std::string_view kVhdMagic = "conectix";

// At most `size` bytes from `offset`; fewer, or none, at the end of the file.
std::string read_text(int fd, uint64_t offset, uint64_t size) {
  std::string text(size, '\0');
  size_t have = 0;
  while (have < text.size()) {
    ssize_t count =
        ::pread(fd, text.data() + have, text.size() - have, static_cast<off_t>(offset + have));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EINVAL) break;  // an offset that no file has
    if (count < 0) throw base::system_error(errno, "cannot read the image's header");
    if (count == 0) break;
    have += static_cast<size_t>(count);
  }
  text.resize(have);
  return text;
}

// Numbers of a header; 0 beyond its end.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : bytes_(bytes) {}
  uint64_t big_endian(size_t offset, size_t size) const { return number(offset, size, true); }
  uint64_t little_endian(size_t offset, size_t size) const { return number(offset, size, false); }

 private:
  uint64_t number(size_t offset, size_t size, bool big) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) return 0;
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      size_t at = big ? offset + i : offset + size - 1 - i;
      value = value << 8 | static_cast<uint8_t>(bytes_[at]);
    }
    return value;
  }
  std::string_view bytes_;
};

std::string name_at(int fd, uint64_t offset, uint64_t size, const std::string& path) {
  if (offset == 0 || size == 0) return "";
  std::string name = size > kMaxName ? "" : read_text(fd, offset, size);
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

ImageReferences read_qcow(int fd, const std::string& format, const std::string& path) {
  constexpr uint64_t kDataFileBit = 1u << 2, kFirstHeaderSize = 72;
  constexpr uint64_t kMinClusterBits = 9, kMaxClusterBits = 21;
  ImageReferences found;
  std::string header = read_text(fd, 0, kMaxHeader);
  Fields fields(header);
  if (!header.starts_with(kQcowMagic)) return found;
  uint64_t version = fields.big_endian(4, 4);
  if ((version == 1) != (format == "qcow")) return found;
  // Version 1 has the encryption method at another offset.
  if (fields.big_endian(version == 1 ? 36 : 32, 4) != 0) {
    throw Error(ErrorCode::unsupported, path + " is encrypted: its content cannot be read");
  }
  uint64_t name_offset = fields.big_endian(8, 8);
  found.base = name_at(fd, name_offset, fields.big_endian(16, 4), path);
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

ImageReferences read_qed(int fd, const std::string& path) {
  constexpr uint64_t kHasBase = 1, kBaseIsRaw = 4;
  ImageReferences found;
  std::string header = read_text(fd, 0, 64);
  Fields fields(header);
  uint64_t features = fields.little_endian(16, 8);
  if (!header.starts_with(std::string_view("QED\0", 4)) || (features & kHasBase) == 0) return found;
  found.base = name_at(fd, fields.little_endian(56, 4), fields.little_endian(60, 4), path);
  if ((features & kBaseIsRaw) != 0) found.base_format = "raw";
  return found;
}

// The lines of a VMDK descriptor: 'RW 8192 FLAT "disk-flat.vmdk" 0' and
// 'parentFileNameHint="base.vmdk"'.
void read_vmdk_descriptor(std::string_view text, bool with_extents, ImageReferences& found) {
  constexpr std::string_view kParent = "parentFileNameHint=\"";
  text = text.substr(0, text.find('\0'));
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    size_t quote = line.find('"');
    if (quote == std::string_view::npos) continue;
    std::string_view name = line.substr(quote + 1);
    name = name.substr(0, name.find_first_of("\"\r"));
    // QEMU accepts the hint anywhere.
    if (line.find(kParent) != std::string_view::npos) {
      std::string_view rest = line.substr(line.find(kParent) + kParent.size());
      found.base = rest.substr(0, rest.find('"'));
      found.base_format = "vmdk";
    } else if (with_extents && line.find("RW") < quote && found.extents.size() < kMaxExtents) {
      found.extents.emplace_back(name);
    }
  }
}

ImageReferences read_vmdk(int fd) {
  ImageReferences found;
  std::string header = read_text(fd, 0, 512);
  if (header.starts_with("KDMV")) {
    constexpr uint64_t kSectorSize = 512;
    Fields fields(header);
    uint64_t capacity = fields.little_endian(12, 8), sector = fields.little_endian(28, 8);
    uint64_t size = std::min(fields.little_endian(36, 8), kMaxDescriptor / kSectorSize);
    if (sector == 0 || sector > UINT64_MAX / kSectorSize / 2) return found;
    // If it has a capacity of its own, the file is its only extent.
    read_vmdk_descriptor(read_text(fd, sector * kSectorSize, size * kSectorSize), capacity == 0,
                         found);
  } else if (!header.starts_with("COWD")) {
    read_vmdk_descriptor(read_text(fd, 0, kMaxDescriptor), true, found);
  }
  return found;
}

uint64_t size_of(int fd) {
  off_t end = ::lseek(fd, 0, SEEK_END);
  return end < 0 ? 0 : static_cast<uint64_t>(end);
}

// The name is UTF-16, most significant byte first; non-ASCII characters are shown as '?'.
std::string parent_of_vhd(int fd, uint64_t dynamic_header) {
  constexpr uint64_t kNameOffset = 64, kNameSize = 512;
  std::string wide = read_text(fd, dynamic_header + kNameOffset, kNameSize), name;
  for (size_t i = 0; i + 1 < wide.size() && (wide[i] != 0 || wide[i + 1] != 0); i += 2)
    name += wide[i] == 0 && wide[i + 1] >= ' ' && wide[i + 1] <= '~' ? wide[i + 1] : '?';
  return name.empty() ? "another file" : name;
}

// QEMU reads a differencing VHD as if its parent were all zeros.
void refuse_differencing_vhd(int fd, const std::string& path) {
  constexpr uint64_t kDifferencing = 4;
  uint64_t end = size_of(fd);
  for (uint64_t at : {uint64_t{0}, end < kFooterSize ? 0 : end - kFooterSize}) {
    std::string footer = read_text(fd, at, kFooterSize);
    Fields fields(footer);
    if (!footer.starts_with(kVhdMagic) || fields.big_endian(60, 4) != kDifferencing) continue;
    std::string parent = parent_of_vhd(fd, fields.big_endian(16, 8));
    throw Error(ErrorCode::unsupported,
                fmt::format("{} is a differencing VHD: it holds only what changed since {}. Merge "
                            "the two (on Windows: Merge-VHD) and give the merged file",
                            path, parent));
  }
}

}  // namespace

ImageReferences read_references(int fd, const std::string& format, const std::string& path) {
  if (format == "qcow2" || format == "qcow") return read_qcow(fd, format, path);
  if (format == "qed") return read_qed(fd, path);
  if (format == "vmdk") return read_vmdk(fd);
  if (format == "vpc") refuse_differencing_vhd(fd, path);
  return {};
}

uint32_t qcow2_version(const std::string& path) {
  base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return 0;
  try {
    std::string header = read_text(file.get(), 0, 8);
    if (!header.starts_with(kQcowMagic)) return 0;
    return static_cast<uint32_t>(Fields(header).big_endian(4, 4));
  } catch (const base::Error&) {
    return 0;
  }
}

std::optional<std::string> image_format_it_looks_like(int fd) {
  std::string head = read_text(fd, 0, 512);
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
  uint64_t end = size_of(fd);
  if (end >= kFooterSize && read_text(fd, end - kFooterSize, 8) == kVhdMagic) return "vpc";
  return std::nullopt;
}

}  // namespace images
