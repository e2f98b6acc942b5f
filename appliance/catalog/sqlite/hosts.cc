#include "appliance/catalog/sqlite/hosts.h"

#include <fmt/format.h>

#include "base/error.h"

namespace appliance::catalog::sqlite {
namespace {

constexpr std::string_view kSelect =
    "SELECT h.id, t.name, h.name, h.certificate_serial, h.version, h.enrolled_ms, h.last_seen_ms, "
    "h.revoked, h.certified_ms "
    "FROM hosts h JOIN tenants t ON t.id = h.tenant ";

Host read_host(Statement& row) {
  Host host;
  host.id = HostId::from_hex(row.text(0));
  host.tenant = TenantName(row.text(1));
  host.name = row.text(2);
  host.certificate_serial = row.text(3);
  host.version = row.text(4);
  host.enrolled_ms = row.natural(5);
  if (!row.is_null(6)) host.last_seen_ms = row.natural(6);
  host.revoked = row.integer(7) != 0;
  host.certified_ms = row.natural(8);
  return host;
}

std::vector<Host> read_hosts(Statement& statement) {
  std::vector<Host> hosts;
  while (statement.step()) hosts.push_back(read_host(statement));
  return hosts;
}

void insert_certificate(Database& database, const HostId& host, const std::string& serial,
                        uint64_t now_ms) {
  database.prepare("INSERT INTO host_certificates(serial, host, made_ms) VALUES (?, ?, ?)")
      .bind(serial, host.hex(), now_ms)
      .run();
}

void insert_host(Database& database, int64_t tenant, const Host& host, uint64_t now_ms) {
  database
      .prepare(
          "INSERT INTO hosts(id, tenant, name, certificate_serial, version, enrolled_ms, "
          "certified_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)")
      .bind(host.id.hex(), tenant, host.name, host.certificate_serial, host.version, now_ms)
      .run();
  insert_certificate(database, host.id, host.certificate_serial, now_ms);
}

}  // namespace

std::vector<Host> SqliteHostRecords::hosts(const TenantScope& scope) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(fmt::format(
      "{} WHERE ?1 IS NULL OR t.name = ?1 ORDER BY t.name, h.name, h.enrolled_ms", kSelect));
  statement.bind(tenant_filter(**database, scope));
  return read_hosts(statement);
}

std::optional<Host> SqliteHostRecords::find_host(const HostId& id) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(fmt::format("{} WHERE h.id = ?", kSelect));
  statement.bind(id.hex());
  if (!statement.step()) return std::nullopt;
  return read_host(statement);
}

std::optional<Host> SqliteHostRecords::find_host_by_certificate(std::string_view serial) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      fmt::format("{} JOIN host_certificates c ON c.host = h.id WHERE c.serial = ?", kSelect));
  statement.bind(serial);
  if (!statement.step()) return std::nullopt;
  return read_host(statement);
}

void SqliteHostRecords::add_certificate(const HostId& id, const std::string& serial,
                                        uint64_t now_ms) {
  auto database = database_.lock();
  Transaction transaction(**database);
  insert_certificate(**database, id, serial, now_ms);
  (*database)
      ->prepare("UPDATE hosts SET certificate_serial = ?2, certified_ms = ?3 WHERE id = ?1")
      .bind(id.hex(), serial, now_ms)
      .run();
  transaction.commit();
}

void SqliteHostRecords::revoke_host(const HostId& id) {
  (*database_.lock())->prepare("UPDATE hosts SET revoked = 1 WHERE id = ?").bind(id.hex()).run();
}

void SqliteHostRecords::touch_host(const HostId& id, std::string_view version, uint64_t now_ms) {
  (*database_.lock())
      ->prepare(
          "UPDATE hosts SET last_seen_ms = ?2, version = CASE ?3 WHEN '' THEN version ELSE ?3 END "
          "WHERE id = ?1")
      .bind(id.hex(), now_ms, version)
      .run();
}

void SqliteHostRecords::enroll_host(const base::Sha256& secret_hash, const Host& host,
                                    uint64_t now_ms) {
  auto database = database_.lock();
  Transaction transaction(**database);
  int64_t tenant = tenant_id(**database, host.tenant);
  (*database)
      ->prepare(
          "UPDATE tokens SET used_ms = ?2 WHERE secret_hash = ?1 AND kind = 'enrolment' AND tenant "
          "= ?3 "
          "AND used_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?2)")
      .bind(base::ByteView(secret_hash), now_ms, tenant)
      .run();
  if ((*database)->changed_rows() != 1) {
    throw base::Error(
        base::ErrorCode::unauthorized,
        "the token is unknown, expired or used; make a new one with 'muletto token create'");
  }
  Statement same_name =
      (*database)->prepare("SELECT 1 FROM hosts WHERE tenant = ? AND name = ? AND revoked = 0");
  if (same_name.bind(tenant, host.name).step()) {
    throw base::Error(
        base::ErrorCode::already_exists,
        fmt::format(
            "a host '{0}' is already enrolled. If this is another one, give it a name of its "
            "own: muletto-agent enroll --name NAME. If it is the same one again, an operator "
            "revokes the old one first (muletto host revoke {0}) and, when it is enrolled, "
            "gives it its machines back: muletto host replace {0} {0}",
            host.name));
  }
  insert_host(**database, tenant, host, now_ms);
  transaction.commit();
}

void SqliteHostRecords::replace_internal_host(const Host& host, uint64_t now_ms) {
  auto database = database_.lock();
  Transaction transaction(**database);
  int64_t tenant = tenant_id(**database, host.tenant);
  (*database)
      ->prepare("UPDATE hosts SET revoked = 1 WHERE tenant = ? AND name = ?")
      .bind(tenant, host.name)
      .run();
  insert_host(**database, tenant, host, now_ms);
  transaction.commit();
}

void SqliteHostRecords::save_report(const HostReport& report) {
  (*database_.lock())
      ->upsert("host_reports", {"host"}, {"time_ms", "body"})
      .bind(report.host.hex(), report.time_ms, report.body)
      .run();
}

std::optional<HostReport> SqliteHostRecords::find_report(const HostId& host) {
  auto database = database_.lock();
  Statement statement =
      (*database)->prepare("SELECT time_ms, body FROM host_reports WHERE host = ?");
  statement.bind(host.hex());
  if (!statement.step()) return std::nullopt;
  return HostReport{host, statement.natural(0), statement.text(1)};
}

void SqliteHostRecords::forget_host(const HostId& id) {
  auto known = find_host(id);
  if (!known) throw base::Error(base::ErrorCode::not_found, "there is no host " + id.hex());
  if (!known->revoked) {
    throw base::Error(
        base::ErrorCode::busy,
        fmt::format("the host '{0}' may still write; revoke it first: muletto host revoke "
                    "{0}",
                    known->name));
  }
  auto database = database_.lock();
  Transaction transaction(**database);
  for (const char* words :
       {"DELETE FROM host_reports WHERE host = ?", "DELETE FROM host_machines WHERE host = ?",
        "UPDATE machines SET host = NULL WHERE host = ?",
        "DELETE FROM host_certificates WHERE host = ? AND host IN (SELECT id FROM hosts WHERE "
        "revoked != 0)",
        "DELETE FROM hosts WHERE id = ? AND revoked != 0"})
    (*database)->prepare(words).bind(id.hex()).run();
  transaction.commit();
}

}  // namespace appliance::catalog::sqlite
