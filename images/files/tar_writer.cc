#include "images/files/tar_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

namespace images::files {
namespace {

constexpr size_t kBlock = 512;
constexpr uint64_t kMaxOctalSize = 077777777777;
constexpr uint32_t kMaxOctalId = 07777777;

// "NN key=value\n", where NN is the length of all of it.
std::string record_of(std::string_view key, std::string_view value) {
  size_t rest = key.size() + value.size() + 3;
  size_t length = rest + std::to_string(rest).size();
  if (std::to_string(length).size() != std::to_string(rest).size())
    length = rest + std::to_string(length).size();
  std::string record = std::to_string(length) + " ";
  record.append(key).append("=").append(value).append("\n");
  return record;
}

// Rounded down to a second before 1970 as POSIX wants it: -1.5 is "-1.5".
std::string time_text(const FileTime& time) {
  if (time.nanoseconds == 0) return std::to_string(time.seconds);
  if (time.seconds >= 0) return fmt::format("{}.{:09}", time.seconds, time.nanoseconds);
  uint32_t rest = 1'000'000'000 - time.nanoseconds;
  return fmt::format("-{}.{:09}", -(time.seconds + 1), rest);
}

void put(std::string& header, size_t at, std::string_view text, size_t room) {
  std::copy_n(text.begin(), std::min(text.size(), room),
              header.begin() + static_cast<ptrdiff_t>(at));
}

void put_octal(std::string& header, size_t at, size_t room, uint64_t value) {
  put(header, at, fmt::format("{:0{}o}", value, room - 1), room - 1);
}

struct Header {
  std::string_view path;
  char type = '0';
  uint64_t size = 0;
  std::string_view link;
};

// The ustar header; what does not fit is in the pax header before it.
std::string header_of(const Header& fields, const Node& node) {
  std::string header(kBlock, '\0');
  put(header, 0, fields.path, 100);
  put_octal(header, 100, 8, node.mode);
  put_octal(header, 108, 8, std::min(node.owner, kMaxOctalId));
  put_octal(header, 116, 8, std::min(node.group, kMaxOctalId));
  put_octal(header, 124, 12, std::min(fields.size, kMaxOctalSize));
  int64_t seconds =
      std::clamp<int64_t>(node.modified.seconds, 0, static_cast<int64_t>(kMaxOctalSize));
  put_octal(header, 136, 12, static_cast<uint64_t>(seconds));
  header[156] = fields.type;
  put(header, 157, fields.link, 100);
  put(header, 257,
      std::string_view("ustar\0"
                       "00",
                       8),
      8);
  if (fields.type == '3' || fields.type == '4') {
    put_octal(header, 329, 8, node.device_major & kMaxOctalId);
    put_octal(header, 337, 8, node.device_minor & kMaxOctalId);
  }
  std::fill_n(header.begin() + 148, 8, ' ');
  unsigned sum = 0;
  for (char each : header) sum += static_cast<uint8_t>(each);
  put(header, 148, fmt::format("{:06o}", sum), 6);
  header[154] = '\0';
  return header;
}

void pad(uint64_t size, std::string& out) { out.append((kBlock - size % kBlock) % kBlock, '\0'); }

void add_pax_header(std::string_view path, const std::string& records, std::string& out) {
  if (records.empty()) return;
  Node plain;
  plain.mode = 0644;
  std::string name = "PaxHeaders/" + std::string(path.substr(path.rfind('/') + 1)).substr(0, 80);
  out += header_of({name, 'x', records.size(), ""}, plain);
  out += records;
  pad(records.size(), out);
}

// What every kind of file has.
std::string common_records(const Node& node) {
  std::string records;
  if (node.modified.nanoseconds != 0 || node.modified.seconds < 0 ||
      node.modified.seconds > static_cast<int64_t>(kMaxOctalSize))
    records += record_of("mtime", time_text(node.modified));
  if (node.accessed != FileTime{}) records += record_of("atime", time_text(node.accessed));
  if (node.owner > kMaxOctalId) records += record_of("uid", std::to_string(node.owner));
  if (node.group > kMaxOctalId) records += record_of("gid", std::to_string(node.group));
  for (const ExtendedAttribute& each : node.attributes)
    records += record_of("SCHILY.xattr." + each.name, each.value);
  return records;
}

std::string path_record(std::string_view path, const char* key) {
  return path.size() > 100 ? record_of(key, path) : "";
}

}  // namespace

bool TarWriter::add(const std::string& path, const Node& node, const std::string* first_path,
                    std::string& out) {
  Header header{path, '0', 0, ""};
  std::string name = path;
  if (first_path != nullptr) {
    header.type = '1';
    header.link = *first_path;
  } else {
    switch (node.kind) {
      case NodeKind::link:
        header.type = '2';
        header.link = node.target;
        break;
      case NodeKind::character_device: header.type = '3'; break;
      case NodeKind::block_device: header.type = '4'; break;
      case NodeKind::folder:
        header.type = '5';
        name += "/";
        break;
      case NodeKind::fifo: header.type = '6'; break;
      default: return false;
    }
  }
  header.path = name;
  std::string records = path_record(name, "path") + path_record(header.link, "linkpath");
  records += common_records(node);
  add_pax_header(path, records, out);
  out += header_of(header, node);
  return true;
}

void TarWriter::begin_file(const std::string& path, const Node& node,
                           const std::vector<DataRange>& ranges, std::string& out) {
  uint64_t data_size = 0;
  for (const DataRange& each : ranges) data_size += each.length;
  std::string map, name = path, records;
  if (data_size < node.size) {
    map = std::to_string(ranges.size() + 1) + "\n";
    for (const DataRange& each : ranges) map += fmt::format("{}\n{}\n", each.offset, each.length);
    map += fmt::format("{}\n0\n", node.size);
    pad(map.size(), map);
    size_t slash = path.rfind('/');
    size_t split = slash == std::string::npos ? 0 : slash + 1;
    name = path.substr(0, split) + "GNUSparseFile.0/" + path.substr(split);
    records = record_of("GNU.sparse.major", "1") + record_of("GNU.sparse.minor", "0") +
              record_of("GNU.sparse.name", path) +
              record_of("GNU.sparse.realsize", std::to_string(node.size));
  }
  uint64_t size = map.size() + data_size;
  records += path_record(name, "path") + common_records(node);
  if (size > kMaxOctalSize) records += record_of("size", std::to_string(size));
  add_pax_header(path, records, out);
  out += header_of({name, '0', size, ""}, node);
  out += map;
  written_ = map.size();
}

void TarWriter::content(base::ByteView bytes, std::string& out) {
  out += base::as_text(bytes);
  written_ += bytes.size();
}

void TarWriter::end_file(std::string& out) { pad(written_, out); }

bool TarWriter::finish(std::string& out) {
  out.append(2 * kBlock, '\0');
  return false;
}

}  // namespace images::files
