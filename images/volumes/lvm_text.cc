#include "images/volumes/lvm_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace images::volumes {
namespace {

constexpr size_t kMaxDepth = 6;
constexpr size_t kMaxItems = 200'000;  // fields, sections, and values in lists
constexpr size_t kMaxName = 256, kMaxText = 1024;

[[noreturn]] void refuse(std::string_view problem) {
  throw base::Error(base::ErrorCode::corrupt,
                    fmt::format("the description of its volume group {}", problem));
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  LvmSection parse() {
    LvmSection root;
    fill(root, 0);
    return root;
  }

 private:
  void skip_space() {
    while (!rest_.empty()) {
      char c = rest_.front();
      if (c == '#') {
        rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
      } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        rest_.remove_prefix(1);
      } else {
        return;
      }
    }
  }

  bool accept(char c) {
    skip_space();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void count() {
    if (++item_count_ > kMaxItems) refuse("is impossibly long");
  }

  std::string name() {
    size_t end = 0;
    while (end < rest_.size() &&
           std::string_view(" \t\r\n={}[]#\",").find(rest_[end]) == std::string_view::npos)
      ++end;
    if (end == 0 || end > kMaxName) refuse("has a field without a usable name");
    std::string found(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return found;
  }

  LvmScalar scalar() {
    skip_space();
    count();
    if (!rest_.empty() && rest_.front() == '"') return quoted();
    uint64_t number = 0;
    auto result = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number);
    if (result.ec != std::errc()) refuse("has a value that is neither a number nor a text");
    rest_.remove_prefix(static_cast<size_t>(result.ptr - rest_.data()));
    return number;
  }

  std::string quoted() {
    std::string found;
    size_t at = 1;
    for (; at < rest_.size() && rest_[at] != '"'; ++at) {
      if (rest_[at] == '\\' && at + 1 < rest_.size()) ++at;
      if (found.size() == kMaxText) refuse("has a text that is too long");
      found += rest_[at];
    }
    if (at >= rest_.size()) refuse("has a text without an end");
    rest_.remove_prefix(at + 1);
    return found;
  }

  std::vector<LvmScalar> values() {
    std::vector<LvmScalar> found;
    if (!accept('[')) {
      found.push_back(scalar());
      return found;
    }
    while (!accept(']')) {
      found.push_back(scalar());
      accept(',');
    }
    return found;
  }

  void fill(LvmSection& section, size_t depth) {
    if (depth > kMaxDepth) refuse("is nested too deeply");
    while (true) {
      skip_space();
      // Metadata ends with a zero byte.
      if (rest_.empty() || rest_.front() == '\0') {
        if (depth != 0) refuse("has a section without an end");
        return;
      }
      if (depth != 0 && accept('}')) return;
      count();
      std::string key = name();
      if (accept('=')) {
        section.fields[key] = values();
      } else if (accept('{')) {
        section.sections.emplace_back(key, LvmSection{});
        fill(section.sections.back().second, depth + 1);
      } else {
        refuse("has a name without a value");
      }
    }
  }

  std::string_view rest_;
  size_t item_count_ = 0;
};

}  // namespace

const LvmSection* LvmSection::find(std::string_view name) const {
  for (const auto& [key, section] : sections) {
    if (key == name) return &section;
  }
  return nullptr;
}

std::optional<uint64_t> LvmSection::number(std::string_view name) const {
  auto field = fields.find(name);
  if (field == fields.end() || field->second.size() != 1) return std::nullopt;
  const auto* value = std::get_if<uint64_t>(&field->second.front());
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::string LvmSection::text(std::string_view name) const {
  auto field = fields.find(name);
  if (field == fields.end() || field->second.size() != 1) return "";
  const auto* value = std::get_if<std::string>(&field->second.front());
  return value == nullptr ? "" : *value;
}

bool LvmSection::lists(std::string_view name, std::string_view value) const {
  auto field = fields.find(name);
  if (field == fields.end()) return false;
  return std::any_of(field->second.begin(), field->second.end(), [&](const LvmScalar& each) {
    const auto* text = std::get_if<std::string>(&each);
    return text != nullptr && *text == value;
  });
}

LvmSection parse_lvm_text(std::string_view text) {
  if (text.size() > kMaxLvmText) refuse("is impossibly long");
  return Parser(text).parse();
}

}  // namespace images::volumes
