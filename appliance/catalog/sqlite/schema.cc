#include "appliance/catalog/sqlite/schema.h"

#include <fmt/format.h>

#include <array>

#include "base/error.h"
#include "base/log.h"

namespace appliance::catalog::sqlite {
namespace {

// Migration i takes a database from version i to i + 1. A migration that was released is never
// edited.
constexpr std::array<const char*, 19> kMigrations{
    // 1: tenants, hosts, tokens, machines, points (derived from the stores), jobs.
    R"sql(
CREATE TABLE tenants (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE hosts (
  id TEXT PRIMARY KEY,
  tenant INTEGER NOT NULL REFERENCES tenants(id),
  name TEXT NOT NULL,
  certificate_serial TEXT NOT NULL UNIQUE,
  version TEXT NOT NULL,
  enrolled_ms INTEGER NOT NULL,
  last_seen_ms INTEGER,
  revoked INTEGER NOT NULL DEFAULT 0
) STRICT;
-- A name may come back after its host was revoked: a reinstalled server enrols anew.
CREATE UNIQUE INDEX hosts_by_name ON hosts(tenant, name) WHERE revoked = 0;

CREATE TABLE tokens (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  tenant INTEGER NOT NULL REFERENCES tenants(id),
  secret_hash BLOB NOT NULL UNIQUE,
  note TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER,
  used_ms INTEGER
) STRICT;

CREATE TABLE machines (
  tenant INTEGER NOT NULL REFERENCES tenants(id),
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  host TEXT REFERENCES hosts(id),
  created_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant, id),
  UNIQUE (tenant, name)
) STRICT;

CREATE TABLE points (
  tenant INTEGER NOT NULL,
  id TEXT NOT NULL,
  machine TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  size INTEGER NOT NULL,
  consistency TEXT NOT NULL,
  PRIMARY KEY (tenant, id),
  FOREIGN KEY (tenant, machine) REFERENCES machines(tenant, id)
) STRICT;
CREATE INDEX points_by_time ON points(tenant, machine, time_ms);

CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  tenant INTEGER NOT NULL REFERENCES tenants(id),
  subject TEXT NOT NULL,
  state TEXT NOT NULL,
  done INTEGER NOT NULL DEFAULT 0,
  total INTEGER NOT NULL DEFAULT 0,
  phase TEXT NOT NULL DEFAULT '',
  figures TEXT NOT NULL DEFAULT '{}',
  error_code TEXT,
  error_message TEXT NOT NULL DEFAULT '',
  created_ms INTEGER NOT NULL,
  started_ms INTEGER,
  ended_ms INTEGER
) STRICT;
CREATE INDEX jobs_by_state ON jobs(state);

CREATE TABLE job_log (
  job INTEGER NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
  sequence INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (job, sequence)
) STRICT, WITHOUT ROWID;
)sql",
    // 2: test boots, with their pictures, and what a machine must answer in one.
    R"sql(
CREATE TABLE verifications (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant INTEGER NOT NULL REFERENCES tenants(id),
  machine TEXT NOT NULL,
  point TEXT NOT NULL,
  point_time_ms INTEGER NOT NULL,
  why TEXT NOT NULL,
  verdict TEXT NOT NULL,
  reasons TEXT NOT NULL,
  checks TEXT NOT NULL,
  evidence TEXT NOT NULL,
  serial TEXT NOT NULL,
  recovery_ms INTEGER,
  started_ms INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX verifications_by_machine ON verifications(tenant, machine);

CREATE TABLE verification_pictures (
  verification INTEGER NOT NULL REFERENCES verifications(id) ON DELETE CASCADE,
  sequence INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  text TEXT NOT NULL,
  png BLOB NOT NULL,
  PRIMARY KEY (verification, sequence)
) STRICT;

CREATE TABLE machine_checks (
  tenant INTEGER NOT NULL REFERENCES tenants(id),
  machine TEXT NOT NULL,
  checks TEXT NOT NULL,
  PRIMARY KEY (tenant, machine)
) STRICT;
)sql",
    // 3: policies, which machines are to be synced and how that goes, reports of agents, alerts.
    R"sql(
CREATE TABLE policies (
  tenant INTEGER NOT NULL REFERENCES tenants(id),
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (tenant, name)
) STRICT;

CREATE TABLE protections (
  tenant INTEGER NOT NULL REFERENCES tenants(id),
  machine TEXT NOT NULL,
  wanted INTEGER NOT NULL,
  policy TEXT NOT NULL DEFAULT '',
  noticed_ms INTEGER NOT NULL,
  begun_ms INTEGER NOT NULL DEFAULT 0,
  in_flight INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  retry_ms INTEGER NOT NULL DEFAULT 0,
  last_error TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, machine)
) STRICT;

-- Between a point and the one before it, when it came: retention may delete either.
CREATE TABLE recovery_gaps (
  tenant INTEGER NOT NULL,
  machine TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  gap_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant, machine, time_ms)
) STRICT, WITHOUT ROWID;

CREATE TABLE host_reports (
  host TEXT PRIMARY KEY REFERENCES hosts(id),
  time_ms INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT;

CREATE TABLE alerts (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant INTEGER NOT NULL REFERENCES tenants(id),
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  message TEXT NOT NULL,
  opened_ms INTEGER NOT NULL,
  closed_ms INTEGER,
  acknowledged_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX open_alerts ON alerts(tenant, kind, subject) WHERE closed_ms IS NULL;
)sql",
    // 4: when a test boot was judged, and whether that stands.
    R"sql(
ALTER TABLE verifications ADD COLUMN decisive_ms INTEGER;
ALTER TABLE verifications ADD COLUMN judged_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE verifications ADD COLUMN settled INTEGER NOT NULL DEFAULT 1;
)sql",
    // 5: the points that the last check of a store found damaged.
    R"sql(
CREATE TABLE damaged_points (
  tenant INTEGER NOT NULL REFERENCES tenants(id),
  point TEXT NOT NULL,
  found_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant, point)
) STRICT, WITHOUT ROWID;
)sql",
    // 6: since when a machine's test boots teach what it must show; the last check of a store.
    R"sql(
ALTER TABLE machine_checks ADD COLUMN learn_from_ms INTEGER NOT NULL DEFAULT 0;
CREATE TABLE store_checks (
  tenant INTEGER PRIMARY KEY REFERENCES tenants(id),
  checked_ms INTEGER NOT NULL,
  deep INTEGER NOT NULL,
  problem_count INTEGER NOT NULL,
  first_problem TEXT NOT NULL
) STRICT;
INSERT INTO store_checks SELECT tenant, max(found_ms), 0, count(*), '' FROM damaged_points GROUP BY tenant;
)sql",
    // 7: time_ms is when a point was taken in; the host's instant stands beside it, and what orders
    // the points of a machine. What the appliance's clock showed when it was last trusted.
    R"sql(
ALTER TABLE points ADD COLUMN host_time_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE points ADD COLUMN timeline_order INTEGER NOT NULL DEFAULT 0;
ALTER TABLE points ADD COLUMN dated_by_host INTEGER NOT NULL DEFAULT 1;
ALTER TABLE points ADD COLUMN host_clock_wrong INTEGER NOT NULL DEFAULT 0;
UPDATE points SET host_time_ms = time_ms, timeline_order = time_ms;
DROP INDEX points_by_time;
CREATE INDEX points_by_order ON points(tenant, machine, timeline_order);
ALTER TABLE verifications ADD COLUMN point_order INTEGER NOT NULL DEFAULT 0;
UPDATE verifications SET point_order = point_time_ms;
CREATE TABLE clock_mark (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  boot TEXT NOT NULL,
  steady_ms INTEGER NOT NULL,
  wall_ms INTEGER NOT NULL,
  doubted_in TEXT NOT NULL
) STRICT;
)sql",
    // 8: which store is a tenant's (none yet: it is to be made; an empty id: found by an older
    // version, to be learned), the points it has lost, and those that are being deleted.
    R"sql(
CREATE TABLE stores (
  tenant INTEGER PRIMARY KEY REFERENCES tenants(id),
  id TEXT NOT NULL,
  directory TEXT NOT NULL
) STRICT;
INSERT INTO stores SELECT id, '', '' FROM tenants;
CREATE TABLE missing_points (
  tenant INTEGER NOT NULL REFERENCES tenants(id),
  point TEXT NOT NULL,
  machine_name TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  size INTEGER NOT NULL,
  consistency TEXT NOT NULL,
  noticed_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant, point)
) STRICT, WITHOUT ROWID;
CREATE TABLE removals (
  tenant INTEGER NOT NULL REFERENCES tenants(id),
  point TEXT NOT NULL,
  PRIMARY KEY (tenant, point)
) STRICT, WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
)sql",
    // 9: which host noticed a machine, and the order it was last given for it; quotas of tenants;
    // operators of one tenant.
    R"sql(
CREATE TABLE host_machines (
  tenant INTEGER NOT NULL REFERENCES tenants(id),
  machine TEXT NOT NULL,
  host TEXT NOT NULL,
  noticed_ms INTEGER NOT NULL,
  order_id INTEGER NOT NULL DEFAULT 0,
  order_host TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, machine)
) STRICT, WITHOUT ROWID;
CREATE INDEX host_machines_by_host ON host_machines(host, noticed_ms);
ALTER TABLE tenants ADD COLUMN quota INTEGER;
ALTER TABLE tokens ADD COLUMN tenant_only INTEGER NOT NULL DEFAULT 0;
-- Whoever named a tenant when he made the token meant that tenant.
UPDATE tokens SET tenant_only = 1 WHERE kind = 'operator' AND tenant <>
  (SELECT id FROM tenants WHERE name = 'default');
)sql",
    // 10: points that somebody holds; which rule the removals of a machine's points follow.
    R"sql(
CREATE TABLE holds (
  tenant INTEGER NOT NULL REFERENCES tenants(id),
  point TEXT NOT NULL,
  reason TEXT NOT NULL,
  placed_ms INTEGER NOT NULL,
  until_ms INTEGER,
  PRIMARY KEY (tenant, point)
) STRICT, WITHOUT ROWID;

CREATE TABLE retention_marks (
  tenant INTEGER NOT NULL REFERENCES tenants(id),
  machine TEXT NOT NULL,
  applied TEXT NOT NULL,
  wanted TEXT NOT NULL,
  wanted_since_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant, machine)
) STRICT, WITHOUT ROWID;
)sql",
    // 11: a host's certificates: each counts until it expires or the host is revoked.
    R"sql(
CREATE TABLE host_certificates (
  serial TEXT PRIMARY KEY,
  host TEXT NOT NULL REFERENCES hosts(id),
  made_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX host_certificates_by_host ON host_certificates(host);
INSERT INTO host_certificates SELECT certificate_serial, id, enrolled_ms FROM hosts;
ALTER TABLE hosts ADD COLUMN certified_ms INTEGER NOT NULL DEFAULT 0;
UPDATE hosts SET certified_ms = enrolled_ms;
)sql",
    // 12: who asked for a job, and whose process runs it.
    R"sql(
ALTER TABLE jobs ADD COLUMN requested_by TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN node TEXT;
)sql",
    // 13: where a point comes from. Opening a store fills it in, as all that is said of points.
    R"sql(
ALTER TABLE points ADD COLUMN parent TEXT;
ALTER TABLE points ADD COLUMN origin_store TEXT;
ALTER TABLE points ADD COLUMN origin_point TEXT;
)sql",
    // 14: which hosts are to remove what syncs of a machine keep there.
    R"sql(
ALTER TABLE protections ADD COLUMN to_forget INTEGER NOT NULL DEFAULT 0;
)sql",
    // 15: what a verdict was judged by; what people say about verdicts, and what that teaches.
    R"sql(
ALTER TABLE verifications ADD COLUMN judging TEXT NOT NULL DEFAULT '';
CREATE TABLE corrections (
  verification INTEGER PRIMARY KEY REFERENCES verifications(id) ON DELETE CASCADE,
  verdict TEXT NOT NULL,
  reason TEXT NOT NULL,
  corrected_by TEXT NOT NULL,
  corrected_ms INTEGER NOT NULL,
  given_verdict TEXT NOT NULL,
  given_reasons TEXT NOT NULL
) STRICT;
CREATE TABLE taught_rules (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant INTEGER NOT NULL REFERENCES tenants(id),
  machine TEXT NOT NULL,
  verification INTEGER NOT NULL,
  means_up INTEGER NOT NULL,
  lines TEXT NOT NULL,
  tolerated TEXT NOT NULL,
  reason TEXT NOT NULL,
  taught_by TEXT NOT NULL,
  taught_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX taught_rules_by_machine ON taught_rules(tenant, machine);
)sql",
    // 16: what overviews of many machines say of points and test boots, without reading their rows.
    R"sql(
CREATE INDEX points_seen ON points(tenant, machine, time_ms);
CREATE INDEX verifications_seen ON verifications(tenant, machine, started_ms, verdict, recovery_ms);
)sql",
    // 17: instant VMs on their way home.
    R"sql(
CREATE TABLE failbacks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant INTEGER NOT NULL REFERENCES tenants(id),
  machine TEXT NOT NULL,
  boot TEXT NOT NULL,
  host TEXT NOT NULL,
  step TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  ended_ms INTEGER,
  state TEXT NOT NULL
) STRICT;
CREATE INDEX failbacks_open ON failbacks(boot) WHERE ended_ms IS NULL;
)sql",
    // 18: users, their second factors and sessions; roles of operators' tokens and who made them; the
    // audit log.
    R"sql(
CREATE TABLE users (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL,
  tenant INTEGER REFERENCES tenants(id),
  note TEXT NOT NULL,
  disabled INTEGER NOT NULL DEFAULT 0,
  password TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  password_ms INTEGER NOT NULL,
  signed_in_ms INTEGER,
  totp_secret BLOB,
  totp_confirmed INTEGER NOT NULL DEFAULT 0,
  totp_step INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE recovery_codes (
  user TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  code_hash BLOB NOT NULL,
  PRIMARY KEY (user, code_hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE user_addresses (
  user TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  address TEXT NOT NULL,
  seen_ms INTEGER NOT NULL,
  PRIMARY KEY (user, address)
) STRICT, WITHOUT ROWID;
-- What operators' tokens could do before there were roles is what an administrator may do.
ALTER TABLE tokens ADD COLUMN role TEXT NOT NULL DEFAULT 'administrator';
ALTER TABLE tokens ADD COLUMN user TEXT REFERENCES users(id) ON DELETE CASCADE;
CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  secret_hash BLOB NOT NULL UNIQUE,
  user TEXT REFERENCES users(id) ON DELETE CASCADE,
  token TEXT REFERENCES tokens(id) ON DELETE CASCADE,
  created_ms INTEGER NOT NULL,
  used_ms INTEGER NOT NULL,
  address TEXT NOT NULL
) STRICT;
CREATE TABLE audit (
  sequence INTEGER PRIMARY KEY,
  body TEXT NOT NULL,
  hash BLOB NOT NULL
) STRICT;
)sql",
    // 19: what people say about alerts; the channels they are notified by, and what waits for each.
    R"sql(
ALTER TABLE alerts ADD COLUMN acknowledged_by TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN acknowledged_note TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN last_ms INTEGER NOT NULL DEFAULT 0;
UPDATE alerts SET last_ms = coalesce(closed_ms, opened_ms);
CREATE TABLE silences (
  tenant INTEGER NOT NULL REFERENCES tenants(id),
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  until_ms INTEGER NOT NULL,
  placed_by TEXT NOT NULL,
  note TEXT NOT NULL,
  PRIMARY KEY (tenant, kind, subject)
) STRICT, WITHOUT ROWID;
CREATE TABLE alert_steps (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  alert INTEGER NOT NULL REFERENCES alerts(id) ON DELETE CASCADE,
  step TEXT NOT NULL
) STRICT;
CREATE TABLE channels (
  name TEXT PRIMARY KEY,
  settings TEXT NOT NULL,
  created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE notices (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  channel TEXT NOT NULL,
  notice TEXT NOT NULL,
  alert INTEGER NOT NULL,
  state TEXT NOT NULL,
  body TEXT NOT NULL,
  added_ms INTEGER NOT NULL,
  due_ms INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  UNIQUE (channel, notice)
) STRICT;
CREATE TABLE reminders (
  channel TEXT NOT NULL,
  alert INTEGER NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (channel, alert, state)
) STRICT, WITHOUT ROWID;
)sql",
};

int user_version(Database& database) {
  Statement statement = database.prepare("PRAGMA user_version");
  statement.step();
  return static_cast<int>(statement.integer(0));
}

}  // namespace

int schema_version() { return static_cast<int>(kMigrations.size()); }

void migrate(Database& database, int to_version) {
  int version = user_version(database);
  if (version > schema_version() || version < 0) {
    throw base::Error(
        base::ErrorCode::unsupported,
        fmt::format("the catalog has version {}, but this mulettod knows versions up to {}; "
                    "install the newer one",
                    version, schema_version()));
  }
  const bool is_new = version == 0;
  for (; version < to_version; ++version) {
    Transaction transaction(database);
    database.execute(kMigrations[static_cast<size_t>(version)]);
    database.execute(fmt::format("PRAGMA user_version = {}", version + 1));
    transaction.commit();
    if (!is_new) base::log().info("the catalog was migrated to version {}", version + 1);
  }
}

}  // namespace appliance::catalog::sqlite
