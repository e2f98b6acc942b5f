// The appliance's memory: tenants, hosts, tokens, machines, points and jobs, in one SQLite file.
// Points are derived data: set_points() makes them anew from what a store holds.
//
// Thread-safe: one connection behind one lock, which is held across SQLite's I/O because SQLite
// allows one writer anyway and every call is short. What a function changed is durable when it
// returns. Every function throws no_space, corrupt or io when the file cannot be read or written,
// and not_found for a tenant that does not exist, also for one that a scope names. Lists and what
// people name by a selector are limited to a scope: what is outside of it does not exist.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "appliance/catalog/records.h"
#include "base/crypto.h"
#include "base/guarded.h"

namespace appliance::catalog {

class Database;
struct Hold;
struct MachineTraces;
struct NewestVerdict;
struct PointOwner;
struct PruneCounts;
struct PruneLimits;
struct RetentionMark;
struct VerdictCounts;
struct RecoveryTime;
struct MachineChecks;
struct Verification;
struct VerificationPicture;

struct JobFilter {
  TenantScope scope;  // by default no tenant's
  std::optional<JobState> state{};
  std::string kind{};     // empty: any
  std::string subject{};  // empty: any
  uint32_t limit = 100;   // the newest ones
};

// Throws unauthorized unless the host may add points to the machine: it is the host's, or it is
// nobody's and has no point that somebody else could have written.
void expect_writable(const Machine& machine, const HostId& host);

class Catalog {
 public:
  // Opens or makes the file, migrates it to this version and makes the tenant `default`.
  // Throws unsupported for a catalog of a newer version.
  static std::unique_ptr<Catalog> open(const std::string& path);
  ~Catalog();

  // --- tenants ---
  std::vector<Tenant> tenants(const TenantScope& scope);
  void expect_tenant(std::string_view name);
  void add_tenant(std::string_view name, uint64_t now_ms);  // throws already_exists
  // Bytes that the tenant's store may take on the disk; none: any.
  std::optional<uint64_t> tenant_quota(std::string_view name);
  void set_tenant_quota(std::string_view name, std::optional<uint64_t> quota);

  // --- which store is whose (stores.cc) ---
  std::optional<StoreRecord> find_store(std::string_view tenant);
  void save_store(std::string_view tenant, const StoreRecord& store);
  // Tenants whose store is that one.
  std::vector<std::string> tenants_with_store(const images::StoreId& id);
  // Oldest first.
  std::vector<MissingPoint> missing_points(std::string_view tenant);
  // The point is about to be deleted from its store: if the daemon dies in between, it is not
  // missing.
  void intend_removal(std::string_view tenant, const images::PointId& id);
  // What the appliance must find again under the same name: "authority", the fingerprint of its
  // authority's certificate; "node", the id of this installation.
  std::optional<std::string> find_fact(std::string_view name);
  void save_fact(std::string_view name, std::string_view value);

  // --- hosts and tokens (hosts.cc, tokens.cc) ---
  std::vector<Host> hosts(const TenantScope& scope);
  std::optional<Host> find_host(const HostId& id);
  // By id, unique prefix of an id (at least 4 digits) or name. Throws not_found, invalid_argument
  // if ambiguous.
  Host host(std::string_view selector, const TenantScope& scope);
  // Whose certificate that is, one that was renewed since included; also of a revoked host.
  std::optional<Host> find_host_by_certificate(std::string_view serial);
  // The host's newest one from now on; earlier ones go on counting.
  void add_certificate(const HostId& id, const std::string& serial, uint64_t now_ms);
  void revoke_host(const HostId& id);
  void touch_host(const HostId& id, std::string_view version, uint64_t now_ms);

  void add_token(const Token& token, const base::Sha256& secret_hash);
  std::vector<Token> tokens(const TenantScope& scope);
  // By id or unique prefix of one. Throws not_found.
  void revoke_token(std::string_view selector, const TenantScope& scope);
  // The token if its secret is known, of that kind, not expired and, for an enrolment, not used.
  std::optional<Token> find_valid_token(TokenKind kind, const base::Sha256& secret_hash,
                                        uint64_t now_ms);
  void touch_token(const TokenId& id, uint64_t now_ms);
  // Uses up the enrolment token and adds the host, both or neither. A host of the same name in the
  // tenant must be revoked first. Throws unauthorized (no such valid token), already_exists.
  void enroll_host(const base::Sha256& secret_hash, const Host& host, uint64_t now_ms);

  // Adds the appliance's own host of a tenant; an earlier one is revoked.
  void replace_internal_host(const Host& host, uint64_t now_ms);

  // --- machines and points (machines.cc, points.cc) ---
  std::vector<Machine> machines(const TenantScope& scope);
  std::optional<Machine> find_machine(std::string_view tenant, std::string_view name);
  Machine machine(std::string_view tenant, std::string_view name);  // throws not_found
  // The machine for a host that is about to write it: an existing one of the host, or a new one
  // that is the host's from now on. Throws as expect_writable().
  Machine claim_machine(std::string_view tenant, const images::MachineId& id, std::string_view name,
                        const HostId& host);
  // From now on `host` alone may write the machine; nullopt: nobody.
  void assign_machine(std::string_view tenant, std::string_view name,
                      const std::optional<HostId>& host);

  // Makes the tenant's points exactly these; machines that are new get a row without a host. Only
  // for what the tenant's own store lists: see appliance/stores.
  void set_points(std::string_view tenant, const std::vector<images::PointSummary>& points,
                  LostPoints lost = LostPoints::keep_in_mind);
  void add_point(std::string_view tenant, const images::PointSummary& point);
  void remove_point(std::string_view tenant, const images::PointId& id);
  // Oldest first within a machine, machines by name; of one machine, or of all if it is empty.
  std::vector<PointRow> points(std::string_view tenant, std::string_view machine_name);
  // What a check of the store found: exactly these points are damaged, until the next one. Points
  // that are not listed (a manifest that cannot be read) are kept in mind, too.
  void save_store_check(std::string_view tenant, const StoreCheck& check,
                        const std::vector<images::PointId>& damaged);
  std::optional<StoreCheck> last_store_check(std::string_view tenant);
  // With the time of the check.
  std::map<images::PointId, uint64_t> damaged_points(std::string_view tenant);

  // --- the keeping of points (retention.cc) ---
  // A later hold takes the place of an earlier one. Throws not_found for a point nobody knows.
  void hold_point(std::string_view tenant, const Hold& hold);
  bool release_point(std::string_view tenant, const images::PointId& point);  // whether it was held
  // Those that are not over.
  std::map<images::PointId, Hold> holds(std::string_view tenant, uint64_t now_ms);
  // Of each point that was tested and judged to the end, what the newest test said: "pass" or
  // "fail".
  std::map<images::PointId, std::string> test_verdicts(std::string_view tenant,
                                                       std::string_view machine_name);
  // Empty if there is none yet.
  RetentionMark retention_mark(std::string_view tenant, std::string_view machine_name);
  void save_retention_mark(std::string_view tenant, std::string_view machine_name,
                           const RetentionMark& mark);
  std::optional<PointOwner> find_owner(std::string_view tenant, const images::PointId& id);

  // --- what is forgotten (forgetting.cc) ---
  MachineTraces machine_traces(std::string_view tenant, std::string_view machine_name);
  // Everything about a machine without points; its alerts close. Throws busy if it has points.
  void forget_machine(std::string_view tenant, std::string_view machine_name, uint64_t now_ms);
  // Machines that were the host's belong to nobody afterwards. Throws not_found, busy unless it is
  // revoked.
  void forget_host(const HostId& id);
  // Removes what is older than the limits say.
  PruneCounts prune(const PruneLimits& limits, uint64_t now_ms);

  // --- policies and protections (protections.cc) ---
  // A policy's body is opaque here: appliance/policy knows it.
  std::vector<std::pair<std::string, std::string>> policies(std::string_view tenant);
  void set_policy(std::string_view tenant, std::string_view name, std::string_view body);
  // Throws not_found, and busy while machines have it.
  void remove_policy(std::string_view tenant, std::string_view name);
  std::vector<Protection> protections(std::string_view tenant);
  std::optional<Protection> find_protection(std::string_view tenant, std::string_view machine);
  void save_protection(const Protection& protection);
  // How long the machine was without a newer point, at worst: gaps that ended since then.
  RecoveryGaps recovery_gaps(std::string_view tenant, std::string_view machine, uint64_t now_ms);
  // Of the gaps that ended in [from_ms, to_ms); the scheduler has them remembered for 100 days.
  uint64_t worst_gap(std::string_view tenant, std::string_view machine, uint64_t from_ms,
                     uint64_t to_ms);
  // Those that ended before that time.
  void forget_gaps(uint64_t before_ms);
  // --- what hosts notice and are told to do (host_machines.cc) ---
  // Gives each machine that has no protection one, all in one transaction. A host brings at most
  // kNewMachinesADay new names in 24 hours, and kMachinesOfHost in all; names beyond are counted
  // and leave no trace.
  Noticed notice_machines(const Host& host, const std::vector<std::string>& names, bool wanted,
                          uint64_t now_ms);
  static constexpr uint64_t kNewMachinesADay = 200;
  static constexpr uint64_t kMachinesOfHost = 2000;
  // The last order for the machine is this one, and it was given to this host.
  void save_order(std::string_view tenant, std::string_view machine, const HostId& host,
                  uint64_t order, uint64_t now_ms);
  // Whether exactly that was the last order for the machine.
  bool was_ordered(std::string_view tenant, std::string_view machine, const HostId& host,
                   uint64_t order);

  void save_report(const HostReport& report);
  std::optional<HostReport> find_report(const HostId& host);

  // --- the appliance's clock (clock_mark.cc) ---
  void save_clock_mark(const ClockMark& mark);
  std::optional<ClockMark> find_clock_mark();

  // --- alerts (alerts.cc) ---
  // Opens the alert, or gives an open one the message. True if it is new.
  bool open_alert(const Alert& alert);
  // False if none was open.
  bool close_alert(std::string_view tenant, std::string_view kind, std::string_view subject,
                   uint64_t now_ms);
  // Throws not_found; the alert as it is now.
  Alert acknowledge_alert(int64_t id, const TenantScope& scope, uint64_t now_ms);
  std::optional<Alert> find_alert(int64_t id, const TenantScope& scope);
  // Newest first; closed ones too if wanted.
  std::vector<Alert> alerts(const TenantScope& scope, bool closed_too, uint32_t limit);

  // --- jobs (jobs.cc) ---
  // Fills in the id; the job is queued.
  JobId add_job(const Job& job);
  void start_job(JobId id, uint64_t now_ms);
  void save_progress(JobId id, const JobProgress& progress, std::string_view figures);
  void end_job(const Job& job);  // state, progress, figures, error, ended_ms
  // At most kMaxLogLines a job; further lines are dropped.
  void log_job(JobId id, std::string_view text, uint64_t now_ms);
  std::optional<Job> find_job(JobId id);  // of any tenant: the caller checks the job's tenant
  std::vector<Job> jobs(const JobFilter& filter);  // newest first
  std::vector<JobLogLine> job_log(JobId id, int64_t after_sequence, uint32_t limit);
  // Jobs that a dead daemon of this node left queued or running become failed, and those that name
  // no node. Another node's jobs are its own. Returns how many.
  uint64_t fail_unfinished_jobs(const NodeId& node, std::string_view why, uint64_t now_ms);
  // Forgets all but the newest `keep` finished jobs.
  void prune_jobs(uint64_t keep);

  // --- test boots (verifications.cc) ---
  // A machine's newest test boots are kept whole; older ones without pictures, evidence and serial
  // log, and not for ever.
  static constexpr int64_t kWholeTestBoots = 100;
  static constexpr std::chrono::hours kTestBootAge{400 * 24};
  // Of all pictures of one machine: a guest may show noise, which does not compress. Pictures of
  // older test boots go first.
  static constexpr int64_t kPicturesSize = 64ll << 20;  // bytes
  // Returns its number. Thins out what is no more among the newest of the same machine.
  int64_t add_verification(const Verification& seen,
                           const std::vector<VerificationPicture>& pictures);
  // Those that began before that time and are not among their machine's newest.
  void forget_test_boots(uint64_t before_ms);
  // Everything of the one with this number becomes what is given.
  void replace_verification(const Verification& seen,
                            const std::vector<VerificationPicture>& pictures);
  // Of passes, newest first.
  std::vector<RecoveryTime> recovery_times(std::string_view tenant, std::string_view machine_name,
                                           uint32_t limit);
  // Of the newest point among those that were tested and judged to the end.
  std::optional<NewestVerdict> newest_verdict(std::string_view tenant,
                                              std::string_view machine_name);
  // When the newest passed test boot of the machine began.
  std::optional<uint64_t> last_passed_ms(std::string_view tenant, std::string_view machine_name);
  // Of those that began in [from_ms, to_ms).
  VerdictCounts verdict_counts(std::string_view tenant, std::string_view machine_name,
                               uint64_t from_ms, uint64_t to_ms);
  std::optional<Verification> last_verification(std::string_view tenant,
                                                std::string_view machine_name, uint64_t from_ms,
                                                uint64_t to_ms);
  // Newest first; of one machine, or of all if it is empty.
  std::vector<Verification> verifications(const TenantScope& scope, std::string_view machine_name,
                                          uint32_t limit);
  Verification verification(const TenantScope& scope, int64_t number);  // throws not_found
  std::vector<VerificationPicture> verification_pictures(int64_t number);
  MachineChecks machine_checks(std::string_view tenant, std::string_view machine_name);
  void set_machine_checks(std::string_view tenant, std::string_view machine_name,
                          const MachineChecks& checks);

  static constexpr int64_t kMaxLogLines = 2000;

 private:
  explicit Catalog(std::unique_ptr<Database> database);
  using Connection = base::Guarded<std::unique_ptr<Database>>;
  static int64_t tenant_id(Database& database, std::string_view name);
  static std::optional<std::string> tenant_filter(Database& database, const TenantScope& scope);
  Connection database_;
};

}  // namespace appliance::catalog
