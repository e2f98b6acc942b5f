// What is searched for has a column; the rest is one JSON object, so that a step is one row's update.
#include "appliance/catalog/sqlite/failbacks.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_access.h"

namespace appliance::catalog::sqlite {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr std::string_view kSelect =
    "SELECT f.id, t.name, f.machine, f.boot, f.host, f.step, f.created_ms, f.ended_ms, f.state "
    "FROM failbacks f JOIN tenants t ON t.id = f.tenant ";

struct Number {
  const char* name;
  uint64_t Failback::*member;
};
constexpr Number kNumbers[] = {{"step_ms", &Failback::step_ms},
                               {"differing", &Failback::differing},
                               {"rounds", &Failback::rounds},
                               {"last_written", &Failback::last_written},
                               {"last_sync_ms", &Failback::last_sync_ms},
                               {"last_copy_ms", &Failback::last_copy_ms},
                               {"last_round_ms", &Failback::last_round_ms},
                               {"predicted_ms", &Failback::predicted_ms},
                               {"pause_begun_ms", &Failback::pause_begun_ms},
                               {"pause_ms", &Failback::pause_ms}};
struct Flag {
  const char* name;
  bool Failback::*member;
};
constexpr Flag kFlags[] = {{"paused", &Failback::is_paused},
                           {"wants_switch", &Failback::wants_switch},
                           {"wants_cancel", &Failback::wants_cancel},
                           {"wants_back", &Failback::wants_back},
                           {"vouched_off", &Failback::is_vouched_off}};

std::string state_of(const Failback& failback) {
  const FailbackPlan& plan = failback.plan;
  json state{{"host_name", failback.host_name},
             {"requested_by", failback.requested_by},
             {"holder", failback.holder},
             {"number", failback.number},
             {"voided", failback.voided},
             {"job", failback.job},
             {"problem", failback.problem},
             {"target", plan.target},
             {"in_place", plan.is_in_place},
             {"limit_ms", plan.limit_ms},
             {"rate", plan.rate},
             {"keep_ms", plan.keep_ms},
             {"shutdown_ms", plan.shutdown_ms},
             {"end", failback_end_name(plan.end)}};
  if (plan.at_ms) state["at_ms"] = *plan.at_ms;
  if (failback.point) state["point"] = failback.point->hex();
  for (const Number& each : kNumbers) state[each.name] = failback.*each.member;
  for (const Flag& each : kFlags) state[each.name] = failback.*each.member;
  return base::dump_text(state);
}

FailbackStep step_of(const std::string& name) {
  for (int i = 0; i <= static_cast<int>(FailbackStep::failed); ++i) {
    if (failback_step_name(FailbackStep(i)) == name) return FailbackStep(i);
  }
  throw Error(ErrorCode::corrupt, "the catalog has a failback in the unknown step '" + name + "'");
}

Failback read_failback(Statement& row) {
  Failback failback;
  failback.id = row.integer(0);
  failback.tenant = TenantName(row.text(1));
  failback.machine = row.text(2);
  failback.boot = row.text(3);
  failback.host = HostId::from_hex(row.text(4));
  failback.step = step_of(row.text(5));
  failback.created_ms = row.natural(6);
  if (!row.is_null(7)) failback.ended_ms = row.natural(7);
  json state = base::parse_json(row.text(8), "a failback in the catalog");
  auto text = [&](const char* name) { return base::find_text(state, name).value_or(""); };
  failback.host_name = text("host_name");
  failback.requested_by = text("requested_by");
  failback.holder = text("holder");
  failback.number = text("number");
  failback.voided = text("voided");
  failback.job = base::find_integer(state, "job").value_or(0);
  failback.problem = text("problem");
  FailbackPlan& plan = failback.plan;
  plan.target = text("target");
  plan.is_in_place = base::find_flag(state, "in_place").value_or(false);
  plan.at_ms = base::find_natural(state, "at_ms");
  plan.limit_ms = base::find_natural(state, "limit_ms").value_or(0);
  plan.rate = base::find_natural(state, "rate").value_or(0);
  plan.keep_ms = base::find_natural(state, "keep_ms").value_or(0);
  plan.shutdown_ms = base::find_natural(state, "shutdown_ms").value_or(0);
  plan.end = failback_end_from_name(text("end"));
  if (auto point = base::find_text(state, "point"))
    failback.point = images::PointId::from_hex(*point);
  for (const Number& each : kNumbers)
    failback.*each.member = base::find_natural(state, each.name).value_or(0);
  for (const Flag& each : kFlags)
    failback.*each.member = base::find_flag(state, each.name).value_or(false);
  return failback;
}

}  // namespace

int64_t SqliteFailbackRecords::add_failback(const Failback& failback) {
  auto database = database_.lock();
  Transaction transaction(**database);
  Statement other =
      (*database)->prepare("SELECT id FROM failbacks WHERE boot = ? AND ended_ms IS NULL");
  other.bind(failback.boot);
  if (other.step()) {
    throw Error(ErrorCode::busy, fmt::format("failback {} is bringing '{}' home already",
                                             other.integer(0), failback.machine));
  }
  Statement statement = (*database)->insert(
      "failbacks", {"tenant", "machine", "boot", "host", "step", "created_ms", "state"});
  statement.bind(tenant_id(**database, failback.tenant), failback.machine, failback.boot,
                 failback.host.hex(), failback_step_name(failback.step), failback.created_ms,
                 state_of(failback));
  int64_t id = statement.run_for_id();
  transaction.commit();
  return id;
}

void SqliteFailbackRecords::save_failback(const Failback& failback) {
  (*database_.lock())
      ->prepare("UPDATE failbacks SET step = ?, ended_ms = ?, state = ? WHERE id = ?")
      .bind(failback_step_name(failback.step), failback.ended_ms, state_of(failback), failback.id)
      .run();
}

std::optional<Failback> SqliteFailbackRecords::find_failback(int64_t id, const TenantScope& scope) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(fmt::format("{} WHERE f.id = ?", kSelect));
  statement.bind(id);
  if (!statement.step()) return std::nullopt;
  Failback failback = read_failback(statement);
  return scope.sees(failback.tenant) ? std::optional(std::move(failback)) : std::nullopt;
}

std::vector<Failback> SqliteFailbackRecords::failbacks(const TenantScope& scope, bool over_too,
                                                       uint32_t limit) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      fmt::format("{} WHERE (?1 IS NULL OR t.name = ?1) AND (?2 OR f.ended_ms IS NULL) "
                  "ORDER BY f.id DESC LIMIT ?3",
                  kSelect));
  statement.bind(tenant_filter(**database, scope), over_too ? 1 : 0, limit);
  std::vector<Failback> failbacks;
  while (statement.step()) failbacks.push_back(read_failback(statement));
  return failbacks;
}

}  // namespace appliance::catalog::sqlite
