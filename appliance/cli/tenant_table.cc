#include "appliance/cli/tenant_table.h"

#include <algorithm>

#include "appliance/cli/present.h"

namespace appliance::cli {
namespace {

bool is_of_several_tenants(const nlohmann::json& rows) {
  return std::any_of(rows.begin(), rows.end(), [&](const nlohmann::json& row) {
    return text_of(row, "tenant") != text_of(rows.front(), "tenant");
  });
}

std::vector<Column> with_tenant(std::vector<Column> columns) {
  columns.insert(columns.begin(), {"TENANT"});
  return columns;
}

}  // namespace

TenantTable::TenantTable(const nlohmann::json& rows, std::vector<Column> columns)
    : shows_tenant_(is_of_several_tenants(rows)),
      table_(shows_tenant_ ? with_tenant(std::move(columns)) : std::move(columns)) {}

void TenantTable::add(const nlohmann::json& row, std::vector<std::string> cells) {
  if (shows_tenant_) cells.insert(cells.begin(), printable(text_of(row, "tenant")));
  table_.add(std::move(cells));
}

}  // namespace appliance::cli
