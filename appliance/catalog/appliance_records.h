// What the appliance remembers about itself. Errors and durability: catalog.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "appliance/catalog/records.h"

namespace appliance::catalog {

class ApplianceRecords {
 public:
  virtual ~ApplianceRecords() = default;

  // What the appliance must find again under the same name: "authority", the fingerprint of its
  // authority's certificate; "node", the id of this installation.
  virtual std::optional<std::string> find_fact(std::string_view name) = 0;
  virtual void save_fact(std::string_view name, std::string_view value) = 0;

  // There is one mark; a later one replaces it.
  virtual void save_clock_mark(const ClockMark& mark) = 0;
  virtual std::optional<ClockMark> find_clock_mark() = 0;
};

}  // namespace appliance::catalog
