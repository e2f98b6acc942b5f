#include "images/files/zip_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <stdexcept>

#include "base/check.h"
#include "base/error.h"
#include "images/files/name_text.h"

namespace images::files {
namespace {

using base::ByteWriter;
using base::Error;
using base::ErrorCode;

constexpr uint16_t kStored = 0, kDeflated = 8;
constexpr uint16_t kSizesFollow = 1 << 3, kUtf8 = 1 << 11;  // flags
constexpr uint32_t kNarrowLimit = 0xffffffff;
// Files from this size on have 64-bit sizes: deflate may make them a little larger.
constexpr uint64_t kWideFrom = 0xf0000000;
constexpr uint64_t kMaxList = 4ull << 30;  // bytes on disk
constexpr size_t kListPiece = 256 << 10;
constexpr uint16_t kVersion = 45, kMadeByUnix = 3 << 8;

std::string name_in_zip(std::string_view path) {
  std::string out;
  for (char each : text_of_name(path)) {
    if (each == '\\' || each == ':') out += fmt::format("%{:02X}", static_cast<uint8_t>(each));
    else out.push_back(each);
  }
  return out;
}

// Local time is not known: UTC. ZIP begins in 1980 and counts even seconds.
uint32_t dos_time(const FileTime& time) {
  auto seconds = static_cast<std::time_t>(std::clamp<int64_t>(time.seconds, 315532800, 4354819198));
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  auto u = [](int value) { return static_cast<uint32_t>(value); };
  return u(parts.tm_year - 80) << 25 | u(parts.tm_mon + 1) << 21 | u(parts.tm_mday) << 16 |
         u(parts.tm_hour) << 11 | u(parts.tm_min) << 5 | u(parts.tm_sec) >> 1;
}

// Time to the second, owner and group, as Info-ZIP keeps them.
void put_unix_fields(ByteWriter& to, const Node& node) {
  to.u16(0x5455);
  to.u16(5);
  to.u8(1);
  to.u32(static_cast<uint32_t>(node.modified.seconds));
  if (!node.has_owner) return;
  to.u16(0x7875);
  to.u16(11);
  to.u8(1);
  to.u8(4);
  to.u32(node.owner);
  to.u8(4);
  to.u32(node.group);
}

uint32_t unix_mode(const Node& node) {
  uint32_t kind = node.kind == NodeKind::folder ? 0040000
                  : node.kind == NodeKind::link ? 0120000
                                                : 0100000;
  return kind | node.mode;
}

void append(const ByteWriter& from, std::string& out) { out += base::as_text(from.bytes()); }

}  // namespace

ZipWriter::ZipWriter() : list_(std::tmpfile()) {
  if (!list_) throw base::system_error(errno, "cannot make a temporary file for the list of a ZIP");
  CHECK(::deflateInit2(&packer_, 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
}

ZipWriter::~ZipWriter() { ::deflateEnd(&packer_); }

void ZipWriter::begin(const std::string& path, const Node& node, uint16_t method,
                      std::string& out) {
  member_ = {};
  member_.name = name_in_zip(path) + (node.kind == NodeKind::folder ? "/" : "");
  if (member_.name.size() > 0xfff0)
    throw Error(ErrorCode::unsupported, "a path is too long for a ZIP");
  member_.node = node;
  member_.node.attributes.clear();
  member_.method = method;
  member_.is_wide = node.size >= kWideFrom;
  member_.place = place_;
  ByteWriter extra;
  if (member_.is_wide) {
    extra.u16(1);
    extra.u16(16);
    extra.u64(0);
    extra.u64(0);
  }
  put_unix_fields(extra, node);
  ByteWriter head;
  head.u32(0x04034b50);
  head.u16(kVersion);
  head.u16(kSizesFollow | kUtf8);
  head.u16(method);
  head.u32(dos_time(node.modified));
  head.u32(0);
  uint32_t unknown = member_.is_wide ? kNarrowLimit : 0;
  head.u32(unknown);
  head.u32(unknown);
  head.u16(static_cast<uint16_t>(member_.name.size()));
  head.u16(static_cast<uint16_t>(extra.size()));
  head.view(base::as_bytes(member_.name));
  head.view(extra.bytes());
  append(head, out);
}

// Ends a member: its sizes here, and its line of the list.
void ZipWriter::close_member(std::string& out) {
  ByteWriter sizes;
  sizes.u32(0x08074b50);
  sizes.u32(member_.checksum);
  if (member_.is_wide) {
    sizes.u64(member_.packed_size);
    sizes.u64(member_.size);
  } else {
    sizes.u32(static_cast<uint32_t>(member_.packed_size));
    sizes.u32(static_cast<uint32_t>(member_.size));
  }
  append(sizes, out);

  bool has_far_place = member_.place >= kNarrowLimit;
  ByteWriter extra;
  if (member_.is_wide || has_far_place) {
    extra.u16(1);
    extra.u16(static_cast<uint16_t>((member_.is_wide ? 16 : 0) + (has_far_place ? 8 : 0)));
    if (member_.is_wide) {
      extra.u64(member_.size);
      extra.u64(member_.packed_size);
    }
    if (has_far_place) extra.u64(member_.place);
  }
  put_unix_fields(extra, member_.node);
  ByteWriter line;
  line.u32(0x02014b50);
  line.u16(kMadeByUnix | kVersion);
  line.u16(kVersion);
  line.u16(kSizesFollow | kUtf8);
  line.u16(member_.method);
  line.u32(dos_time(member_.node.modified));
  line.u32(member_.checksum);
  line.u32(member_.is_wide ? kNarrowLimit : static_cast<uint32_t>(member_.packed_size));
  line.u32(member_.is_wide ? kNarrowLimit : static_cast<uint32_t>(member_.size));
  line.u16(static_cast<uint16_t>(member_.name.size()));
  line.u16(static_cast<uint16_t>(extra.size()));
  line.u16(0);
  line.u16(0);
  line.u16(0);
  uint32_t dos_attributes = member_.node.kind == NodeKind::folder ? 0x10 : 0;
  line.u32(unix_mode(member_.node) << 16 | dos_attributes);
  line.u32(has_far_place ? kNarrowLimit : static_cast<uint32_t>(member_.place));
  line.view(base::as_bytes(member_.name));
  line.view(extra.bytes());
  if (list_size_ + line.size() > kMaxList)
    throw Error(ErrorCode::unsupported, "there are too many files for a ZIP: take a tar");
  if (std::fwrite(line.bytes().data(), 1, line.size(), list_.get()) != line.size())
    throw base::system_error(errno, "cannot write the temporary list of a ZIP");
  list_size_ += line.size();
  ++member_count_;
}

bool ZipWriter::add(const std::string& path, const Node& node, const std::string*,
                    std::string& out) {
  if (node.kind != NodeKind::folder && node.kind != NodeKind::link) return false;
  size_t before = out.size();
  begin(path, node, kStored, out);
  if (node.kind == NodeKind::link) {
    out += node.target;
    member_.size = member_.packed_size = node.target.size();
    member_.checksum =
        static_cast<uint32_t>(::crc32(0, reinterpret_cast<const Bytef*>(node.target.data()),
                                      static_cast<uInt>(node.target.size())));
  }
  close_member(out);
  count(before, out);
  return true;
}

void ZipWriter::begin_file(const std::string& path, const Node& node, const std::vector<DataRange>&,
                           std::string& out) {
  size_t before = out.size();
  begin(path, node, kDeflated, out);
  CHECK(::deflateReset(&packer_) == Z_OK);
  count(before, out);
}

void ZipWriter::deflate_to(std::string& out, int flush) {
  constexpr size_t kRoom = 64 << 10;
  int result = Z_OK;
  do {
    size_t before = out.size();
    out.resize(before + kRoom);
    packer_.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    packer_.avail_out = kRoom;
    result = ::deflate(&packer_, flush);
    CHECK(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
    out.resize(before + kRoom - packer_.avail_out);
    member_.packed_size += kRoom - packer_.avail_out;
  } while (packer_.avail_out == 0 || (flush == Z_FINISH && result != Z_STREAM_END));
}

void ZipWriter::content(base::ByteView bytes, std::string& out) {
  size_t before = out.size();
  auto* data = const_cast<Bytef*>(bytes.data());
  member_.checksum =
      static_cast<uint32_t>(::crc32(member_.checksum, data, static_cast<uInt>(bytes.size())));
  member_.size += bytes.size();
  packer_.next_in = data;
  packer_.avail_in = static_cast<uInt>(bytes.size());
  deflate_to(out, Z_NO_FLUSH);
  count(before, out);
}

void ZipWriter::end_file(std::string& out) {
  size_t before = out.size();
  packer_.next_in = nullptr;
  packer_.avail_in = 0;
  deflate_to(out, Z_FINISH);
  close_member(out);
  count(before, out);
}

void ZipWriter::put_end(std::string& out) const {
  ByteWriter end;
  uint64_t wide_end = list_place_ + list_size_;
  end.u32(0x06064b50);
  end.u64(44);
  end.u16(kMadeByUnix | kVersion);
  end.u16(kVersion);
  end.u32(0);
  end.u32(0);
  end.u64(member_count_);
  end.u64(member_count_);
  end.u64(list_size_);
  end.u64(list_place_);
  end.u32(0x07064b50);
  end.u32(0);
  end.u64(wide_end);
  end.u32(1);
  end.u32(0x06054b50);
  end.u16(0);
  end.u16(0);
  auto narrow16 = static_cast<uint16_t>(std::min<uint64_t>(member_count_, 0xffff));
  end.u16(narrow16);
  end.u16(narrow16);
  end.u32(static_cast<uint32_t>(std::min<uint64_t>(list_size_, kNarrowLimit)));
  end.u32(static_cast<uint32_t>(std::min<uint64_t>(list_place_, kNarrowLimit)));
  end.u16(0);
  append(end, out);
}

bool ZipWriter::finish(std::string& out) {
  if (!is_listing_) {
    is_listing_ = true;
    list_place_ = place_;
    std::rewind(list_.get());
  }
  if (list_read_ == list_size_) {
    put_end(out);
    return false;
  }
  size_t size = std::min<uint64_t>(kListPiece, list_size_ - list_read_), before = out.size();
  out.resize(before + size);
  if (std::fread(out.data() + before, 1, size, list_.get()) != size)
    throw Error(ErrorCode::io, "cannot read the temporary list of a ZIP");
  list_read_ += size;
  return true;
}

}  // namespace images::files
