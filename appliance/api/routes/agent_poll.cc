#include "appliance/api/routes/agent_poll.h"

#include "base/clean_text.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

constexpr size_t kPollDepth = 8;  // the deepest field we know has a depth of 4

// The beginning of the text, without an incomplete character at its end.
std::string cut(std::string text, size_t size) {
  if (text.size() <= size) return text;
  while (size > 0 && (static_cast<uint8_t>(text[size]) & 0xC0) == 0x80) --size;
  text.resize(size);
  return text;
}

bool is_name(const std::string& text) {
  try {
    base::check_name(text, "machine's name");
    return true;
  } catch (const base::Error&) {
    return false;
  }
}

void read_report(const json& report, schedule::Poll& poll) {
  json machines = json::array();
  for (const json& machine : base::find_list(report, "machines")) {
    std::string name = base::find_text(machine, "name").value_or("");
    if (poll.machines.size() >= kMaxReportedMachines || !is_name(name)) {
      ++poll.left_out;
      continue;
    }
    json known{{"name", name}, {"kind", nullptr}, {"running", nullptr}};
    if (auto kind = base::find_text(machine, "kind")) known["kind"] = cut(*kind, kMaxReportedWord);
    if (auto running = base::find_flag(machine, "running")) {
      known["running"] = *running;
      if (*running) poll.running_machines.push_back(name);
    }
    machines.push_back(std::move(known));
    poll.machines.push_back(std::move(name));
  }
  json kept{{"version", cut(base::find_text(report, "version").value_or(""), kMaxReportedWord)},
            {"libvirt_problem", nullptr},
            {"scratch_free", base::find_natural(report, "scratch_free").value_or(0)},
            {"left_out", poll.left_out},
            {"machines", std::move(machines)}};
  if (auto problem = base::find_text(report, "libvirt_problem"))
    kept["libvirt_problem"] = cut(*problem, kMaxReportedSentence);
  poll.report = base::dump_text(kept);
}

}  // namespace

schedule::Poll read_poll(std::string_view body) {
  schedule::Poll poll;
  json fields =
      base::parse_json(body, "the agent's message", {.depth = kPollDepth, .size = kMaxPollSize});
  if (!fields.is_object())
    throw base::Error(base::ErrorCode::invalid_argument,
                      "the agent's message is not a JSON object");
  if (const json* report = base::find_field(fields, "report")) {
    base::expect_list(*report, "machines", SIZE_MAX);
    read_report(*report, poll);
  }
  if (base::find_field(fields, "outcomes") != nullptr) {
    for (const json& outcome : base::expect_list(fields, "outcomes", kMaxPolledOrders)) {
      poll.outcomes.push_back(
          {base::expect_natural(outcome, "order"), base::expect_flag(outcome, "succeeded"),
           cut(base::find_text(outcome, "error").value_or(""), kMaxReportedSentence)});
    }
  }
  if (base::find_field(fields, "running") != nullptr) {
    for (const json& sync : base::expect_list(fields, "running", kMaxPolledOrders)) {
      schedule::SyncUnderWay known;
      known.order = base::expect_natural(sync, "order");
      known.machine = base::expect_text(sync, "machine", 255);
      base::check_name(known.machine, "machine's name");
      known.done = base::find_natural(sync, "done").value_or(0);
      known.total = base::find_natural(sync, "total").value_or(0);
      poll.running.push_back(std::move(known));
    }
  }
  if (base::find_field(fields, "forgotten") != nullptr) {
    for (const json& forgotten : base::expect_list(fields, "forgotten", kMaxPolledOrders)) {
      schedule::Forgotten known{
          base::expect_text(forgotten, "machine", 255),
          cut(base::find_text(forgotten, "error").value_or(""), kMaxReportedSentence)};
      base::check_name(known.machine, "machine's name");
      poll.forgotten.push_back(std::move(known));
    }
  }
  return poll;
}

namespace {

homeward::RestoreReport::State state_of(const json& report) {
  using State = homeward::RestoreReport::State;
  std::string state = base::expect_text(report, "state", kMaxReportedWord);
  if (state == "running") return State::running;
  if (state == "succeeded") return State::succeeded;
  if (state == "failed") return State::failed;
  throw base::Error(base::ErrorCode::invalid_argument, "a restore has an unknown state");
}

// Only figures that we know, and only numbers.
std::string figures_of(const json& report) {
  json figures = json::object();
  for (const char* name : {"compared", "differing", "written", "verified", "received", "rate",
                           "left_ms", "duration_ms", "home_start"}) {
    if (auto value = base::find_natural(report, name)) figures[name] = *value;
  }
  return figures.empty() ? "" : base::dump_text(figures);
}

}  // namespace

std::vector<homeward::RestoreReport> read_restores(std::string_view body) {
  std::vector<homeward::RestoreReport> reports;
  if (body.find("\"restores\"") == std::string_view::npos) return reports;
  json fields =
      base::parse_json(body, "the agent's message", {.depth = kPollDepth, .size = kMaxPollSize});
  if (base::find_field(fields, "restores") == nullptr) return reports;
  for (const json& told : base::expect_list(fields, "restores", kMaxPolledOrders)) {
    homeward::RestoreReport report;
    report.order = base::expect_natural(told, "order");
    report.state = state_of(told);
    report.doing = cut(base::find_text(told, "doing").value_or(""), kMaxReportedWord);
    report.done = base::find_natural(told, "done").value_or(0);
    report.total = base::find_natural(told, "total").value_or(0);
    report.error = cut(base::find_text(told, "error").value_or(""), kMaxReportedSentence);
    report.figures = figures_of(told);
    for (const json& note : base::find_list(told, "notes")) {
      if (report.notes.size() == homeward::kMaxRestoreNotes) break;
      if (note.is_string())
        report.notes.push_back(base::clean_text(note.get<std::string>(), kMaxReportedSentence));
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

std::vector<failback::KeptOffReport> read_kept_off(std::string_view body) {
  std::vector<failback::KeptOffReport> reports;
  if (body.find("\"kept_off\"") == std::string_view::npos) return reports;
  json fields =
      base::parse_json(body, "the agent's message", {.depth = kPollDepth, .size = kMaxPollSize});
  if (base::find_field(fields, "kept_off") == nullptr) return reports;
  for (const json& told : base::expect_list(fields, "kept_off", failback::kMaxKeptOff)) {
    failback::KeptOffReport report;
    report.machine = base::expect_text(told, "machine", 255);
    base::check_name(report.machine, "machine's name");
    report.runs = base::find_flag(told, "runs").value_or(false);
    report.ended_count = base::find_natural(told, "ended_count").value_or(0);
    report.error =
        base::clean_text(base::find_text(told, "error").value_or(""), kMaxReportedSentence);
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace appliance::api
