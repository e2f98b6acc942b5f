// The text in which LVM describes a volume group, as a tree: sections, and fields with numbers,
// texts or lists of both. Format: lvm.conf(5) and the metadata that vgcfgbackup(8) writes. The text
// comes from a guest's disk: everything is bounded. Values; thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace images::volumes {

using LvmScalar = std::variant<uint64_t, std::string>;

struct LvmSection {
  std::map<std::string, std::vector<LvmScalar>, std::less<>> fields;  // one value: a list of one
  // In the order of the text.
  std::vector<std::pair<std::string, LvmSection>> sections;

  const LvmSection* find(std::string_view name) const;  // null: there is none
  std::optional<uint64_t> number(std::string_view name) const;
  std::string text(std::string_view name) const;  // empty: there is none
  // Whether the list `name` has the text `value`: status = ["READ", "VISIBLE"].
  bool lists(std::string_view name, std::string_view value) const;
};

constexpr size_t kMaxLvmText = 4 << 20;  // bytes

// Throws corrupt.
LvmSection parse_lvm_text(std::string_view text);

}  // namespace images::volumes
