// A table of an API's list that tells whose each row is, if the rows are not all of one tenant. Not
// thread-safe.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/cli/table.h"

namespace appliance::cli {

class TenantTable {
 public:
  // `rows` is the API's list; each has a "tenant". A column TENANT comes first if they differ.
  TenantTable(const nlohmann::json& rows, std::vector<Column> columns);

  void add(const nlohmann::json& row, std::vector<std::string> cells);  // as many as columns
  void print(std::string_view when_empty) const { table_.print(when_empty); }
  std::string text() const { return table_.text(); }

 private:
  const bool shows_tenant_;
  Table table_;
};

}  // namespace appliance::cli
