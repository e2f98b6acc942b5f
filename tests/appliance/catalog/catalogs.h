// The catalogs that the contract tests run on: an implementation for another database is one more
// line in catalogs.cc.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "appliance/catalog/catalog.h"
#include "base/error.h"

namespace appliance::catalog {

// A catalog of its own, without anything but the tenant `default`.
class FreshCatalog {
 public:
  virtual ~FreshCatalog() = default;
  virtual Catalog& get() = 0;
  // Closes it and opens it again: what comes back is what is durable.
  virtual void reopen() = 0;
};

std::vector<std::string> catalog_kinds();  // "sqlite"
std::unique_ptr<FreshCatalog> make_catalog(const std::string& kind);

// The code that the call fails with; the test fails if it does not fail.
template <typename Call>
base::ErrorCode code_of(Call call) {
  try {
    call();
  } catch (const base::Error& error) {
    return error.code();
  }
  throw std::logic_error("nothing was thrown");
}

Host make_host(const std::string& name);
// A host that enrolled with a token of its own.
Host enrolled(Catalog& catalog, const std::string& name);
// Of a machine whose id follows from its name.
images::PointSummary make_point(const std::string& machine, uint64_t time_ms);

}  // namespace appliance::catalog
