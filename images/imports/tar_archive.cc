#include "images/imports/tar_archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/text.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint64_t kBlock = 512;
constexpr uint64_t kMaxExtension = 64 << 10;  // bytes of a pax header or a long name
constexpr size_t kMaxName = 1024;             // bytes
constexpr size_t kMaxShown = 200;

class TarLister {
 public:
  TarLister(const FilePart& part, const std::string& path)
      : part_(part), path_(path), end_(size_of(part)) {}

  std::vector<TarMember> list() {
    std::vector<TarMember> members;
    size_t headers = 0;
    while (at_ + kBlock <= end_) {
      std::string header = read_text(part_, at_, kBlock);
      if (header.size() != kBlock) fail("it is cut off");
      if (header.find_first_not_of('\0') == std::string::npos) return members;
      if (++headers > 4 * kMaxTarMembers)
        throw Error(ErrorCode::invalid_argument, path_ + " has more members than an export has");
      take(header, members);
    }
    // Two blocks of zeros end an archive: without one of them its end is missing.
    fail("its end is missing");
  }

 private:
  [[noreturn]] void fail(std::string_view problem) const {
    throw Error(ErrorCode::corrupt,
                fmt::format("{} is not a whole tar archive: {}", path_, problem));
  }

  [[noreturn]] void refuse(const std::string& name, std::string_view problem) const {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{} in {} {}; nothing was imported", base::clean_text(name, kMaxShown),
                            path_, problem));
  }

  void take(const std::string& header, std::vector<TarMember>& members) {
    expect_checksum(header);
    uint64_t size = next_size_.value_or(number_at(header, 124, 12));
    uint64_t content = at_ + kBlock;
    if (size > end_ - content) fail("it is cut off");
    at_ = content + (size + kBlock - 1) / kBlock * kBlock;
    char kind = header[156];
    if (kind == 'L' || kind == 'x' || kind == 'g') {
      read_extension(kind, content, size);
      return;
    }
    std::string name = next_name_.empty() ? name_in(header) : next_name_;
    next_name_.clear();
    next_size_.reset();
    if (kind == '5') return;
    if (kind != '0' && kind != '\0') refuse(name, "is a link or a device, not a file");
    expect_harmless(name);
    name = normal(name);
    if (members.size() >= kMaxTarMembers)
      throw Error(ErrorCode::invalid_argument, path_ + " has more members than an export has");
    if (!names_.insert(name).second) refuse(name, "is there twice");
    members.push_back({name, content, size});
  }

  void expect_checksum(const std::string& header) const {
    uint64_t sum = 0;
    for (size_t i = 0; i < header.size(); ++i)
      sum += i >= 148 && i < 156 ? ' ' : static_cast<uint8_t>(header[i]);
    if (sum != number_at(header, 148, 8)) fail("a header is damaged");
  }

  // Octal digits, or with the highest bit set a number of that many bytes.
  uint64_t number_at(const std::string& header, size_t at, size_t size) const {
    if ((static_cast<uint8_t>(header[at]) & 0x80) != 0) {
      uint64_t value = static_cast<uint8_t>(header[at]) & 0x3f;
      for (size_t i = 1; i < size; ++i) {
        if (value >> 55 != 0) fail("a size is impossible");
        value = value << 8 | static_cast<uint8_t>(header[at + i]);
      }
      return value;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      char digit = header[at + i];
      if (digit == ' ' || digit == '\0') {
        if (value != 0) break;
        continue;
      }
      if (digit < '0' || digit > '7') fail("a number in a header is none");
      value = value << 3 | static_cast<uint64_t>(digit - '0');
    }
    return value;
  }

  static std::string name_in(const std::string& header) {
    auto text_at = [&](size_t at, size_t size) {
      std::string text = header.substr(at, size);
      return text.substr(0, text.find('\0'));
    };
    std::string name = text_at(0, 100);
    // GNU has other things in the place of the prefix.
    if (header.substr(257, 6) != std::string("ustar\0", 6)) return name;
    std::string prefix = text_at(345, 155);
    return prefix.empty() ? name : prefix + "/" + name;
  }

  void read_extension(char kind, uint64_t content, uint64_t size) {
    if (size > kMaxExtension) fail("a name is too long");
    std::string text = read_text(part_, content, size);
    if (kind == 'L') next_name_ = text.substr(0, text.find('\0'));
    if (kind == 'x') read_pax(text);
  }

  // Lines of "LENGTH KEY=VALUE\n".
  void read_pax(std::string_view text) {
    while (!text.empty()) {
      size_t length = 0;
      auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), length);
      size_t digits = static_cast<size_t>(end - text.data());
      if (failed != std::errc() || length <= digits + 1 || length > text.size())
        fail("a header is damaged");
      std::string_view line = text.substr(digits + 1, length - digits - 2);
      text.remove_prefix(length);
      size_t equals = line.find('=');
      if (equals == std::string_view::npos) continue;
      std::string_view key = line.substr(0, equals), value = line.substr(equals + 1);
      if (key == "path") next_name_ = value;
      if (key == "size") {
        uint64_t number = 0;
        auto [stop, bad] = std::from_chars(value.data(), value.data() + value.size(), number);
        if (bad != std::errc() || stop != value.data() + value.size()) fail("a size is impossible");
        next_size_ = number;
      }
      if (key.starts_with("GNU.sparse"))
        fail("it holds files with holes: pack it without --sparse");
    }
  }

  void expect_harmless(const std::string& name) const {
    if (name.empty() || name.size() > kMaxName || name.find('\0') != std::string::npos)
      refuse(name, "has an impossible name");
    if (name.front() == '/') refuse(name, "has an absolute name");
    for (const std::string& word : base::split(name, '/')) {
      if (word == "..") refuse(name, "leads out of its folder");
    }
  }

  static std::string normal(const std::string& name) {
    std::string path;
    for (const std::string& word : base::split(name, '/')) {
      if (word.empty() || word == ".") continue;
      path += (path.empty() ? "" : "/") + word;
    }
    return path;
  }

  const FilePart part_;
  const std::string path_;
  const uint64_t end_;
  uint64_t at_ = 0;
  std::string next_name_;              // of the member that follows an extension
  std::optional<uint64_t> next_size_;  // … and its size
  std::set<std::string> names_;
};

}  // namespace

std::vector<TarMember> list_tar(const FilePart& part, const std::string& path) {
  return TarLister(part, path).list();
}

}  // namespace images
