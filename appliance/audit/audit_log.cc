#include "appliance/audit/audit_log.h"

#include <fmt/format.h>
#include <syslog.h>

#include "appliance/audit/audit_chain.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::audit {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr size_t kMaxText = 400;  // bytes of one text
constexpr uint64_t kHourMs = 3'600'000;

// Cut at the end of a character; what is no UTF-8 is replaced when it is written.
std::string short_text(const std::string& text) {
  if (text.size() <= kMaxText) return text;
  size_t size = kMaxText;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0u) == 0x80u) --size;
  return text.substr(0, size) + "…";
}

bool is_refusal(int status) { return status == 401 || status == 403 || status == 429; }

json happening_json(const Happening& happening) {
  json entry{{"who", happening.who.empty() ? "a stranger" : short_text(happening.who)},
             {"from", happening.from.empty() ? "this machine" : short_text(happening.from)},
             {"what", short_text(happening.what)}};
  if (!happening.tenant.empty()) entry["tenant"] = short_text(happening.tenant);
  if (!happening.details.empty()) entry["details"] = happening.details;
  return entry;
}

void add_outcome(json& entry, const Outcome& outcome) {
  entry["status"] = outcome.status;
  entry["outcome"] = outcome.status < 400         ? "done"
                     : is_refusal(outcome.status) ? "refused"
                                                  : "failed";
  if (!outcome.message.empty()) entry["message"] = short_text(outcome.message);
  if (outcome.job) entry["job"] = *outcome.job;
}

}  // namespace

AuditLog::AuditLog(catalog::AuditRecords& records, Options options, const base::Clock& clock)
    : records_(records), options_(std::move(options)), clock_(clock) {
  if (options_.to_syslog) ::openlog("mulettod", LOG_PID, LOG_AUTH);
  auto state = state_.lock();
  state->hour_began_ms = clock_.steady_ms();
  if (auto last = records_.last_audit()) {
    state->head = {last->sequence, last->hash};
    return;
  }
  append(*state, {{"kind", "begun"}, {"appliance", options_.appliance}});
}

void AuditLog::write(State& state, const std::string& body) {
  catalog::AuditRow row{state.head.sequence + 1, body, chain_hash(state.head.hash, body)};
  try {
    records_.append_audit(row);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::no_space || !options_.make_room) throw;
    options_.make_room();
    records_.append_audit(row);
  }
  state.head = {row.sequence, row.hash};
}

uint64_t AuditLog::append(State& state, json entry) {
  entry["sequence"] = state.head.sequence + 1;
  entry["time"] = base::format_time_ms(clock_.wall_ms());
  if (state.lost != 0) entry["lost_before"] = state.lost;
  if (state.unlisted != 0) entry["unlisted_before"] = state.unlisted;
  std::string body = base::dump_text(entry);
  try {
    write(state, body);
  } catch (const Error& error) {
    if (state.problem.empty())
      base::log().error("the audit log cannot be written: {}", error.message());
    state.problem = error.message();
    throw Error(ErrorCode::unavailable,
                fmt::format("nothing was changed, because the audit log cannot be written: {}",
                            error.message()));
  }
  state.problem.clear();
  state.lost = state.unlisted = 0;
  if (options_.to_syslog) ::syslog(LOG_NOTICE, "%s", body.c_str());
  return state.head.sequence;
}

uint64_t AuditLog::begin(const Happening& happening) {
  json entry = happening_json(happening);
  entry["kind"] = "request";
  return append(*state_.lock(), std::move(entry));
}

void AuditLog::end(uint64_t number, const Outcome& outcome) noexcept {
  auto state = state_.lock();
  try {
    json entry{{"kind", "answer"}, {"of", number}};
    add_outcome(entry, outcome);
    append(*state, std::move(entry));
  } catch (const std::exception&) {
    ++state->lost;
  }
}

// The map is bounded by the refusals that are listed in all.
bool AuditLog::is_listed(State& state, const std::string& from) {
  if (clock_.steady_ms() - state.hour_began_ms >= kHourMs) {
    state.hour_began_ms = clock_.steady_ms();
    state.listed = 0;
    state.listed_of.clear();
  }
  if (state.listed >= options_.listed_per_hour) return false;
  uint64_t& of_address = state.listed_of[from];
  if (of_address >= options_.listed_per_address) return false;
  ++of_address;
  ++state.listed;
  return true;
}

void AuditLog::note(const Happening& happening, const Outcome& outcome) noexcept {
  auto state = state_.lock();
  try {
    bool is_limited =
        is_refusal(outcome.status) || (happening.who.empty() && outcome.status >= 400);
    if (is_limited && !is_listed(*state, happening.from)) {
      ++state->unlisted;
      return;
    }
    json entry = happening_json(happening);
    entry["kind"] = "request";
    add_outcome(entry, outcome);
    append(*state, std::move(entry));
  } catch (const std::exception&) {
    ++state->lost;
  }
}

void AuditLog::require_writable() {
  auto state = state_.lock();
  if (state->problem.empty()) return;
  append(*state, {{"kind", "note"}, {"note", "entries can be written again"}});
}

void AuditLog::round() noexcept {
  auto state = state_.lock();
  try {
    bool is_hour_over = clock_.steady_ms() - state->hour_began_ms >= kHourMs;
    if (state->problem.empty() && state->lost == 0 && (state->unlisted == 0 || !is_hour_over))
      return;
    append(*state, {{"kind", "note"}, {"note", "what was not listed or could not be written"}});
  } catch (const std::exception&) {
    // It is known, and said by an alert.
  }
}

AuditLog::Head AuditLog::head() { return state_.lock()->head; }

std::string AuditLog::problem() { return state_.lock()->problem; }

}  // namespace appliance::audit
