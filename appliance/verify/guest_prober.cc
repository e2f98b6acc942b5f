#include "appliance/verify/guest_prober.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "appliance/boot/guest/agent_replies.h"
#include "appliance/boot/guest/probe.h"
#include "base/confinement.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/log.h"
#include "base/subprocess.h"
#include "base/text.h"

namespace appliance::verify {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPause{500};
constexpr std::chrono::milliseconds kAskTimeout{1500};
constexpr std::chrono::seconds kAgentTimeout{2};
constexpr std::chrono::seconds kScriptTimeout{30};
constexpr size_t kMaxDetail = 160;
// A busy guest answers late: it is reported as unreachable only after this many rounds.
constexpr uint32_t kSilentRounds = 4;
constexpr size_t kMaxCheck = 1000;
// Services that most servers have, probed even if they are not required.
constexpr std::array kKnownChecks{"tcp:22", "http:80/", "tcp:443", "tcp:445", "tcp:3389"};

std::optional<boot::Service> service_of(const std::string& check) {
  bool http = check.starts_with("http:");
  if (!http && !check.starts_with("tcp:")) return std::nullopt;
  const char* begin = check.data() + (http ? 5 : 4);
  const char* end = check.data() + check.size();
  boot::Service service;
  auto result = std::from_chars(begin, end, service.port);
  if (result.ec != std::errc() || service.port == 0) return std::nullopt;
  service.kind = http ? boot::Service::Kind::http : boot::Service::Kind::tcp;
  service.path = std::string(result.ptr, end);
  if (http && service.path.empty()) service.path = "/";
  bool good = http ? service.path.starts_with('/') &&
                         service.path.find_first_of(" \r\n\t") == std::string::npos
                   : service.path.empty();
  return good ? std::optional(service) : std::nullopt;
}

std::string short_text(const std::string& text) {
  std::string line = base::trim(text).substr(0, kMaxDetail);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) >= 0x7f) c = ' ';
  }
  return line;
}

}  // namespace

void check_expectation(const std::string& check) {
  bool script = check.starts_with("appliance:") && check.size() > 10 &&
                check.find('/') == std::string::npos && check[10] != '.';
  bool guest = check.starts_with("guest:") && check.size() > 6;
  if (check.size() <= kMaxCheck && base::is_valid_utf8(check) &&
      (check == "agent" || script || guest || service_of(check)))
    return;
  throw base::Error(
      base::ErrorCode::invalid_argument,
      fmt::format("'{}' is not a check; write agent, tcp:PORT, http:PORT/PATH, guest:COMMAND "
                  "or appliance:NAME",
                  short_text(check)));
}

GuestProber::GuestProber(ProbeTarget target)
    : target_(std::move(target)), thread_("guest prober", base::AfterFailure::begin_again,
                                          [this](const std::stop_token& stop) { run(stop); }) {}

GuestProber::~GuestProber() = default;

std::vector<TimedObservation> GuestProber::take() {
  auto answers = answers_.lock();
  return std::exchange(*answers, {});
}

void GuestProber::put(Clock::time_point asked, Observation seen) {
  answers_.lock()->push_back({asked, Clock::now(), std::move(seen)});
}

void GuestProber::run(const std::stop_token& stop) {
  std::vector<std::string> checks = target_.checks;
  for (const char* known : kKnownChecks) {
    if (std::find(checks.begin(), checks.end(), known) == checks.end()) checks.emplace_back(known);
  }
  while (!stop.stop_requested()) {
    try {
      ask_all(checks, stop);
    } catch (const base::Error&) {
      // The guest has just ended or libvirt is unavailable: the observer of the screen sees that,
      // too.
    } catch (const std::exception& error) {
      put(Clock::now(),
          {.signal = Signal::trouble,
           .detail = fmt::format("The guest could not be probed: {}.", short_text(error.what()))});
      return;
    }
    base::sleep_unless_stopped(stop, kPause);
  }
}

void GuestProber::ask_all(const std::vector<std::string>& checks, const std::stop_token& stop) {
  auto asked = Clock::now();
  bool agent =
      target_.watch.ask_agent(target_.domain_name, R"({"execute":"guest-ping"})", kAgentTimeout)
          .has_value();
  put(asked, {.signal = Signal::agent, .good = agent, .subject = "agent"});
  asked = Clock::now();
  boot::GuestSearch search;
  if (target_.has_network) search = target_.boots.search(target_.id);
  silent_count_ = search.found.empty() ? silent_count_ + 1 : 0;
  if (!search.found.empty()) {
    put(asked, {.signal = Signal::address, .good = true, .subject = search.found.front().address});
    ask_services(checks, search.found.front());
  } else if (silent_count_ >= kSilentRounds &&
             (!search.silent.empty() || !search.obstacle.empty())) {
    std::string claimed = search.silent.empty() ? "" : search.silent.front();
    put(asked, {.signal = Signal::address,
                .subject = claimed,
                .detail = search.obstacle.empty() ? "not reachable inside the test network"
                                                  : short_text(search.obstacle)});
  }
  for (const std::string& check : checks) {
    if (stop.stop_requested()) return;
    asked = Clock::now();
    if (agent && check.starts_with("guest:")) put(asked, ask_guest(check));
    if (!search.found.empty() && check.starts_with("appliance:"))
      put(asked, ask_script(check, search.found.front()));
  }
}

// All at once: several that are silent must not delay one that answers.
void GuestProber::ask_services(const std::vector<std::string>& checks,
                               const boot::FoundGuest& guest) {
  std::vector<std::string> names;
  std::vector<boot::Service> services;
  for (const std::string& check : checks) {
    std::optional<boot::Service> service = service_of(check);
    if (!service) continue;
    names.push_back(check);
    services.push_back(*service);
  }
  auto asked = Clock::now();
  std::vector<boot::ServiceAnswer> answers = guest.ask(services, kAskTimeout);
  for (size_t i = 0; i < names.size(); ++i) {
    put(asked, {.signal = Signal::service,
                .good = answers[i].answered,
                .subject = names[i],
                .detail = short_text(answers[i].detail)});
  }
}

Observation GuestProber::ask_guest(const std::string& check) {
  Observation seen{.signal = Signal::script, .subject = check};
  json command{{"execute", "guest-exec"},
               {"arguments",
                {{"path", "/bin/sh"}, {"arg", {"-c", check.substr(6)}}, {"capture-output", true}}}};
  auto started = target_.watch.ask_agent(target_.domain_name, command.dump(), kAgentTimeout);
  std::optional<int64_t> number = boot::read_exec_number(started.value_or(""));
  if (!number) {
    seen.detail = "the guest agent cannot run commands";
    return seen;
  }
  json question{{"execute", "guest-exec-status"}, {"arguments", {{"pid", *number}}}};
  auto deadline = Clock::now() + kScriptTimeout;
  while (Clock::now() < deadline && !thread_.stop_token().stop_requested()) {
    auto reply = target_.watch.ask_agent(target_.domain_name, question.dump(), kAgentTimeout);
    if (auto code = boot::read_exec_status(reply.value_or(""))) {
      seen.good = *code == 0;
      seen.detail = fmt::format("exit status {}", *code);
      return seen;
    }
    base::sleep_unless_stopped(thread_.stop_token(), kPause / 2);
  }
  seen.detail = "it did not end in time";
  return seen;
}

Observation GuestProber::ask_script(const std::string& check, const boot::FoundGuest& guest) {
  Observation seen{.signal = Signal::script, .subject = check};
  base::Confinement confinement;
  confinement.keeps_network = true;  // the network of the guest, in which it is started
  confinement.place = base::join_path(target_.scripts_directory, "");
  std::vector<std::string> command{"env", "MULETTO_GUEST=" + guest.address,
                                   std::string(base::kConfinedPlace) + "/" + check.substr(10)};
  try {
    base::CommandResult result;
    guest.network->inside(
        [&] { result = base::run_command(base::confined(command, confinement), kScriptTimeout); });
    seen.good = result.status == 0;
    seen.detail = short_text(
        seen.good ? result.output : fmt::format("exit status {} {}", result.status, result.errors));
  } catch (const base::Error& error) {
    seen.detail = short_text(error.message());
  }
  return seen;
}

}  // namespace appliance::verify
