// Hosts on which agents run, their certificates and reports, and the tokens that let hosts and
// operators in. Errors and durability: catalog.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/catalog/records.h"
#include "base/crypto.h"

namespace appliance::catalog {

class HostRecords {
 public:
  virtual ~HostRecords() = default;

  // By tenant and name.
  virtual std::vector<Host> hosts(const TenantScope& scope) = 0;
  virtual std::optional<Host> find_host(const HostId& id) = 0;
  // By id, unique prefix of an id (at least 4 digits) or name. Throws not_found, invalid_argument
  // if ambiguous.
  Host host(std::string_view selector, const TenantScope& scope);
  // The host of that certificate, including one that has been renewed since; also a revoked host.
  virtual std::optional<Host> find_host_by_certificate(std::string_view serial) = 0;
  // The host's newest one from now on; earlier ones stay valid.
  virtual void add_certificate(const HostId& id, const std::string& serial, uint64_t now_ms) = 0;
  virtual void revoke_host(const HostId& id) = 0;
  // An empty version leaves the known one.
  virtual void touch_host(const HostId& id, std::string_view version, uint64_t now_ms) = 0;
  // Uses up the enrolment token and adds the host, both or neither. A host of the same name in the
  // tenant must be revoked first. Throws unauthorized (no such valid token), already_exists.
  virtual void enroll_host(const base::Sha256& secret_hash, const Host& host, uint64_t now_ms) = 0;
  // Adds the appliance's own host of a tenant; an earlier one is revoked.
  virtual void replace_internal_host(const Host& host, uint64_t now_ms) = 0;
  // The host's machines belong to no host afterwards. Throws not_found, busy unless it is revoked.
  virtual void forget_host(const HostId& id) = 0;

  // Replaces the host's earlier report.
  virtual void save_report(const HostReport& report) = 0;
  virtual std::optional<HostReport> find_report(const HostId& host) = 0;

  virtual void add_token(const Token& token, const base::Sha256& secret_hash) = 0;
  virtual std::vector<Token> tokens(const TenantScope& scope) = 0;  // oldest first
  virtual void remove_token(const TokenId& id) = 0;
  // By id or unique prefix of one. Throws not_found, invalid_argument if ambiguous.
  void revoke_token(std::string_view selector, const TenantScope& scope);
  // The token if its secret is known, of that kind, not expired and, for an enrolment, not used. A
  // token whose maker is disabled does not count.
  virtual std::optional<Token> find_valid_token(TokenKind kind, const base::Sha256& secret_hash,
                                                uint64_t now_ms) = 0;
  // An operator's token that has not expired; none otherwise.
  virtual std::optional<Token> find_operator_token(const TokenId& id, uint64_t now_ms) = 0;
  virtual void touch_token(const TokenId& id, uint64_t now_ms) = 0;
};

}  // namespace appliance::catalog
