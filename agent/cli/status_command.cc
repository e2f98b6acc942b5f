#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/common_options.h"
#include "agent/contact.h"
#include "agent/enrollment.h"
#include "agent/tracking.h"
#include "base/json_access.h"
#include "base/text.h"

namespace agent::cli {
namespace {

// The contact with the appliance; none if this host has none.
struct Membership {
  Enrollment enrollment;
  std::optional<ContactRecord> contact;
  std::string problem;  // empty: no problem
};

std::optional<Membership> membership(const Config& config) {
  if (!is_enrolled(config.state_directory)) return std::nullopt;
  Membership found;
  found.contact = read_contact(config.state_directory);
  found.problem = contact_problem(found.contact, base::now_ms());
  try {
    found.enrollment = load_enrollment(config.state_directory);
  } catch (const base::Error& error) {
    found.problem = error.message();
  }
  return found;
}

int exit_code_of(const std::optional<Membership>& member) {
  if (!member || member->problem.empty()) return 0;
  bool over = member->contact && member->contact->is_over();
  return base::exit_code(over ? base::ErrorCode::unauthorized : base::ErrorCode::unavailable);
}

nlohmann::json time_or_null(uint64_t time_ms) {
  if (time_ms == 0) return nullptr;
  return base::format_time_ms(time_ms);
}

nlohmann::json text_or_null(const std::string& text) {
  if (text.empty()) return nullptr;
  return text;
}

nlohmann::json to_json(const Membership& member) {
  ContactRecord contact = member.contact.value_or(ContactRecord{});
  bool known = !member.enrollment.host_id.empty();
  return {{"address", text_or_null(known ? member.enrollment.appliance.text() : "")},
          {"host", text_or_null(member.enrollment.host_name)},
          {"in_contact", member.problem.empty()},
          {"problem", text_or_null(member.problem)},
          {"last_answer", time_or_null(contact.answered_ms)},
          {"failing_since", time_or_null(contact.failing_since_ms)},
          {"revoked", contact.is_over()}};
}

void print_membership(const Membership& member) {
  const Enrollment& enrollment = member.enrollment;
  if (!enrollment.host_id.empty())
    fmt::print("appliance {}, as '{}'\n", enrollment.appliance.text(), enrollment.host_name);
  if (member.problem.empty()) fmt::print("  in contact\n");
  else fmt::print("  NOT IN CONTACT: {}\n", member.problem);
  if (member.contact && member.contact->answered_ms != 0)
    fmt::print("  last answer {}\n", base::format_time_ms(member.contact->answered_ms));
}

int run_status(const base::Arguments& arguments) {
  Config config = common_config(arguments);
  auto records = list_tracking(config.state_directory);
  std::optional<Membership> member = membership(config);
  if (arguments.json()) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& [machine, record] : records) {
      list.push_back({{"machine", machine},
                      {"last_point", record.point.hex()},
                      {"checkpoint", record.checkpoint},
                      {"tracked_disks", record.disks}});
    }
    nlohmann::json status{{"state_directory", config.state_directory}, {"tracked", list}};
    status["appliance"] = member ? to_json(*member) : nlohmann::json();
    fmt::print("{}\n", base::dump_text(status, 2));
    return exit_code_of(member);
  }
  if (member) print_membership(*member);
  if (records.empty())
    fmt::print("no machine's changes are being tracked (state in {})\n", config.state_directory);
  for (const auto& [machine, record] : records) {
    fmt::print("{:<24} changes of {} tracked since point {}\n", machine,
               fmt::join(record.disks, ", "), record.point.hex());
  }
  return exit_code_of(member);
}

}  // namespace

base::Command status_command() {
  base::Command command;
  command.name = "status";
  command.summary = "Show whether the appliance answers, and which machines are tracked";
  command.notes =
      "If the appliance does not answer, the command shows since when and why. For each machine it "
      "shows the point since which changes are tracked.\n\n"
      "For monitoring: the exit code is 0 when the appliance answered within the last five "
      "minutes, or this host is not enrolled; 6 when it did not answer; 5 when it has said for "
      "hours that this host is revoked.";
  command.declare_options = declare_common_options;
  command.run = run_status;
  return command;
}

}  // namespace agent::cli
