// The words that an enum has in JSON, on the command line and in files: one table per enum.
//   constexpr auto kBuses = base::enum_names<DiskBus>(
//       "a disk bus", {{DiskBus::virtio, "virtio"}, {DiskBus::scsi, "scsi"}});
//   kBuses.name(DiskBus::scsi)  // "scsi"
//   kBuses.value("ide")         // throws: 'ide' is not a disk bus; choose virtio or scsi
// A table that leaves out an enumerator, or has them in another order, does not compile. Tables
// are constants; thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace base {

template <typename Enum>
struct EnumName {
  Enum value;
  std::string_view name;
};

// Throws invalid_argument: "'TEXT' is not WHAT; choose NAME, NAME or NAME".
[[noreturn]] void refuse_name(std::string_view text, std::string_view what,
                              std::span<const std::string_view> names);

// Ends the program: a value that no enumerator has is a bug.
[[noreturn]] void fail_without_name(std::string_view what, size_t value);

// Whether the enum declares an enumerator of this value: compilers write the others as "(Enum)7".
template <auto kValue>
consteval bool is_enumerator() {
  return std::string_view(__PRETTY_FUNCTION__).find("kValue = (") == std::string_view::npos;
}

template <typename Enum, size_t kCount>
class EnumNames {
 public:
  // `what` names one value, with its article: "a disk bus".
  consteval EnumNames(std::string_view what, const EnumName<Enum> (&table)[kCount]) : what_(what) {
    static_assert(!is_enumerator<static_cast<Enum>(kCount)>(), "an enumerator has no name");
    for (size_t i = 0; i < kCount; ++i) {
      if (table[i].value != static_cast<Enum>(i)) throw "not in the order of the enum";
      names_[i] = table[i].name;
    }
  }

  std::string_view name(Enum value) const {
    auto index = static_cast<size_t>(value);
    if (index >= kCount) fail_without_name(what_, index);
    return names_[index];
  }
  std::optional<Enum> find(std::string_view name) const {
    for (size_t i = 0; i < kCount; ++i) {
      if (names_[i] == name) return static_cast<Enum>(i);
    }
    return std::nullopt;
  }
  // Throws invalid_argument with the list of names.
  Enum value(std::string_view name) const {
    if (auto found = find(name)) return *found;
    refuse_name(name, what_, names_);
  }

 private:
  std::string_view what_;
  std::array<std::string_view, kCount> names_;
};

template <typename Enum, size_t kCount>
consteval EnumNames<Enum, kCount> enum_names(std::string_view what,
                                             const EnumName<Enum> (&table)[kCount]) {
  return {what, table};
}

}  // namespace base
