// Failbacks in the catalog, changed by one at a time: a person's wish and a step's end never overwrite
// each other. What change() returns is durable. Thread-safe.
#pragma once

#include <fmt/format.h>

#include <mutex>

#include "appliance/catalog/failback_records.h"
#include "base/error.h"

namespace appliance::failback {

class FailbackRows {
 public:
  explicit FailbackRows(catalog::FailbackRecords& records) : records_(records) {}

  // Throws not_found.
  catalog::Failback get(int64_t id, const access::TenantScope& scope) {
    auto row = records_.find_failback(id, scope);
    if (!row)
      throw base::Error(base::ErrorCode::not_found, fmt::format("there is no failback {}", id));
    return *row;
  }

  // `change` gets the row as it is now, and may throw: then nothing is changed.
  template <typename Change>
  catalog::Failback change(int64_t id, const access::TenantScope& scope, Change change) {
    std::lock_guard<std::mutex> one(changing_);
    catalog::Failback row = get(id, scope);
    change(row);
    records_.save_failback(row);
    return row;
  }

  catalog::FailbackRecords& records() { return records_; }

 private:
  catalog::FailbackRecords& records_;
  std::mutex changing_;
};

}  // namespace appliance::failback
