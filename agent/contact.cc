#include "agent/contact.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "agent/state_layout.h"
#include "base/error.h"
#include "base/log.h"
#include "base/private_file.h"
#include "base/text.h"

namespace agent {
namespace {

using nlohmann::json;

constexpr size_t kMaxFile = 64 << 10;  // bytes
constexpr size_t kMaxProblem = 2000;   // bytes
constexpr uint64_t kLogEveryMs = 3600'000;
constexpr uint64_t kSaveEveryMs = 60'000;

}  // namespace

std::optional<ContactRecord> read_contact(const std::string& state_directory) {
  try {
    json file = json::parse(base::read_private_file(contact_path(state_directory), kMaxFile));
    ContactRecord record;
    record.host_id = file.at("host_id").get<std::string>();
    record.written_ms = file.at("written_ms").get<uint64_t>();
    record.answered_ms = file.at("answered_ms").get<uint64_t>();
    record.failing_since_ms = file.at("failing_since_ms").get<uint64_t>();
    record.problem = file.at("problem").get<std::string>();
    record.revoked_count = file.at("revoked_count").get<uint32_t>();
    record.revoked_since_ms = file.at("revoked_since_ms").get<uint64_t>();
    return record;
  } catch (const std::exception&) {
    return std::nullopt;  // missing, or not ours
  }
}

std::string contact_problem(const std::optional<ContactRecord>& record, uint64_t now_ms) {
  if (!record) return "the service has not run yet: muletto-agent run";
  if (record->is_over()) {
    return fmt::format("since {} the appliance has answered that this host was revoked: {}",
                       base::format_time_ms(record->revoked_since_ms), record->problem);
  }
  if (record->failing_since_ms != 0) {
    return fmt::format("no contact since {}: {}", base::format_time_ms(record->failing_since_ms),
                       record->problem);
  }
  uint64_t distance =
      now_ms > record->written_ms ? now_ms - record->written_ms : record->written_ms - now_ms;
  if (distance <= kContactStaleMs) return "";
  return fmt::format("the service is not running, or the clock was set: it was last active at {}",
                     base::format_time_ms(record->written_ms));
}

Contact::Contact(std::string state_directory, const base::Clock& clock)
    : state_directory_(std::move(state_directory)), clock_(clock),
      record_(read_contact(state_directory_).value_or(ContactRecord{})),
      counted_at_ms_(clock.steady_ms()) {}

void Contact::be_of(const std::string& host_id) {
  if (record_.host_id == host_id) return;
  record_ = {};
  record_.host_id = host_id;
}

void Contact::answered(const std::string& host_id) {
  be_of(host_id);
  bool news = record_.failing_since_ms != 0 || record_.revoked_count != 0;
  if (record_.failing_since_ms != 0) base::log().info("the appliance answers again");
  record_.answered_ms = clock_.wall_ms();
  record_.failing_since_ms = 0;
  record_.problem.clear();
  record_.revoked_count = 0;
  record_.revoked_since_ms = 0;
  logged_at_ms_.reset();
  save(news);
}

void Contact::failed(const std::string& host_id, const std::string& problem) {
  if (!host_id.empty()) be_of(host_id);
  tell(problem);
}

bool Contact::revoked(const std::string& host_id, const std::string& problem) {
  be_of(host_id);
  uint64_t now = clock_.steady_ms();
  bool counts = record_.revoked_count == 0 || now - counted_at_ms_ >= kRevokedEveryMs;
  if (counts) {
    if (record_.revoked_count == 0) record_.revoked_since_ms = clock_.wall_ms();
    ++record_.revoked_count;
    counted_at_ms_ = now;
    saved_at_ms_.reset();
  }
  tell(problem);
  return record_.is_over() && counts;
}

void Contact::tell(const std::string& problem) {
  std::string words = problem.substr(0, kMaxProblem);
  bool is_new = record_.failing_since_ms == 0 || words != record_.problem;
  if (record_.failing_since_ms == 0) record_.failing_since_ms = clock_.wall_ms();
  record_.problem = words;
  uint64_t now = clock_.steady_ms();
  if (is_new || !logged_at_ms_ || now - *logged_at_ms_ >= kLogEveryMs) {
    base::log().warn("no contact with the appliance since {}: {}",
                     base::format_time_ms(record_.failing_since_ms), words);
    logged_at_ms_ = now;
  }
  save(is_new);
}

void Contact::save(bool at_once) {
  uint64_t now = clock_.steady_ms();
  if (!at_once && saved_at_ms_ && now - *saved_at_ms_ < kSaveEveryMs) return;
  saved_at_ms_ = now;
  record_.written_ms = clock_.wall_ms();
  json file{{"host_id", record_.host_id},
            {"written_ms", record_.written_ms},
            {"answered_ms", record_.answered_ms},
            {"failing_since_ms", record_.failing_since_ms},
            {"problem", record_.problem},
            {"revoked_count", record_.revoked_count},
            {"revoked_since_ms", record_.revoked_since_ms}};
  try {
    base::write_private_file(contact_path(state_directory_),
                             file.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
  } catch (const base::Error& error) {
    // Syncs do not depend on it.
    base::log().warn("the state of the contact cannot be saved: {}", error.message());
  }
}

}  // namespace agent
