#include "appliance/catalog/host_records.h"

#include <fmt/format.h>

#include "base/error.h"

namespace appliance::catalog {

Host HostRecords::host(std::string_view selector, const TenantScope& scope) {
  std::vector<Host> named, prefixed;
  for (Host& host : hosts(scope)) {
    if (host.name == selector && !host.revoked) {
      named.push_back(std::move(host));
    } else if (selector.size() >= 4 && host.id.hex().starts_with(selector)) {
      prefixed.push_back(std::move(host));
    }
  }
  std::vector<Host>& found = named.empty() ? prefixed : named;
  if (found.empty()) {
    throw base::Error(base::ErrorCode::not_found,
                      fmt::format("there is no host '{}'", selector.substr(0, 255)));
  }
  if (found.size() > 1) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      fmt::format("'{}' means {} hosts; give the id", selector, found.size()));
  }
  return found.front();
}

void HostRecords::revoke_token(std::string_view selector, const TenantScope& scope) {
  std::vector<TokenId> found;
  for (const Token& token : tokens(scope)) {
    if (selector.size() >= 4 && token.id.hex().starts_with(selector)) found.push_back(token.id);
  }
  if (found.size() > 1) {
    throw base::Error(
        base::ErrorCode::invalid_argument,
        fmt::format("'{}' means {} tokens; give more digits", selector, found.size()));
  }
  if (found.empty()) {
    throw base::Error(base::ErrorCode::not_found,
                      fmt::format("there is no token '{}'; give its id or the id's first digits",
                                  selector.substr(0, 255)));
  }
  remove_token(found.front());
}

}  // namespace appliance::catalog
