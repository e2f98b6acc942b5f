#include "agent/daemon/service.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <set>

#include "agent/contact.h"
#include "agent/enrollment.h"
#include "agent/homeward/home_guard.h"
#include "agent/homeward/restore_processes.h"
#include "agent/libvirt/domain.h"
#include "agent/monitor/monitored_machine.h"
#include "agent/orders/sync_processes.h"
#include "agent/state_layout.h"
#include "base/answered_error.h"
#include "base/clean_text.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/subprocess.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace agent::daemon {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kFirstPause{500};
constexpr milliseconds kLongestPause{30'000};
// The longest pause between attempts if the appliance refuses this host, or cannot be trusted.
constexpr milliseconds kLongestRefusedPause{150'000};
constexpr milliseconds kLongestWait{60'000};  // whatever the appliance says
constexpr std::chrono::seconds kReportEvery{60};
constexpr std::chrono::hours kRenewalEvery{24};
constexpr size_t kMaxOrders = 64;     // in one answer
constexpr size_t kMaxForgotten = 16;  // the same
constexpr size_t kMaxKeptOff = 2000;  // the same
// The appliance calls an agent silent after three minutes.
constexpr std::chrono::milliseconds kForgetTimeout{30'000};
constexpr size_t kMaxForgetWords = 400;  // bytes
constexpr size_t kMaxMachineName = 255;  // bytes

// The machines of the settings, and libvirt's domains under the names the settings give them.
json machines_of(const Config& config, json& problem) {
  json machines = json::array();
  std::map<std::string, std::string> names;  // domain: machine
  std::set<std::string> told;
  for (const auto& [name, machine] : config.machines) {
    if (!machine.images.empty() || machine.physical) {
      machines.push_back(
          {{"name", name},
           {"kind", machine.physical ? "physical" : "images"},
           {"running", machine.physical}});  // it is the machine that this agent runs on
      told.insert(name);
    } else if (!machine.monitor.empty()) {
      bool running = monitor::is_running(machine.monitor);
      machines.push_back({{"name", name}, {"kind", "domain"}, {"running", running}});
      told.insert(name);
    } else if (!machine.domain.empty()) {
      names[machine.domain] = name;
    }
  }
  if (config.libvirt_uri.empty()) return machines;
  try {
    for (const auto& domain : libvirt::Connection(config.libvirt_uri).domains()) {
      if (domain.is_instant_vm) continue;
      std::string name = domain.name;
      if (names.contains(domain.name)) name = names[domain.name];
      if (names.contains(domain.uuid)) name = names[domain.uuid];
      if (!told.insert(name).second) continue;
      machines.push_back({{"name", name}, {"kind", "domain"}, {"running", domain.running}});
    }
  } catch (const Error& error) {
    problem = error.message();
  }
  return machines;
}

json report_of(const Config& config) {
  json problem = nullptr;
  json machines = machines_of(config, problem);
  std::error_code unknown;
  auto space = std::filesystem::space(config.state_directory, unknown);
  // In steps, so that a report does not differ from the last one by a few bytes.
  constexpr uint64_t kStep = 1ull << 30;
  return {{"version", MULETTO_VERSION},
          {"libvirt_problem", problem},
          {"scratch_free", unknown ? 0 : space.available / kStep * kStep},
          {"machines", machines}};
}

// The appliance's own refusal, unlike all others.
struct Revoked : Error {
  explicit Revoked(const Error& error) : Error(error) {}
};

class Service {
 public:
  Service(const Config& config, const ServiceCommands& commands, std::stop_token stop)
      : config_(config), contact_(config.state_directory), sync_command_(commands.sync),
        forget_command_(commands.forget), orders_(config.run_directory + "/orders"),
        restores_(config.run_directory + "/restores", commands.restore), guard_(config),
        stop_(stop), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), on_stop_(stop, [this] {
          uint64_t one = 1;
          (void)!::write(wake_.get(), &one, sizeof one);
        }) {}

  void run() {
    base::log().info("muletto-agent {} serves", MULETTO_VERSION);
    milliseconds pause = kFirstPause;
    while (!stop_.stop_requested()) {
      milliseconds wait = pause;
      try {
        wait = poll_once();
        contact_.answered(host_id_);
        pause = kFirstPause;
      } catch (const Revoked& revoked) {
        if (contact_.revoked(host_id_, revoked.message())) end_revoked(revoked);
        wait = with_random_part(pause);
        pause = std::min(pause * 2, kLongestRefusedPause);
      } catch (const Error& error) {
        // Whatever the reason, it may be temporary: a clock, a name, something in between, a
        // restored catalog.
        contact_.failed(host_id_, error.message());
        wait = with_random_part(pause);
        bool refused = error.code() == ErrorCode::unauthorized;
        pause = std::min(pause * 2, refused ? kLongestRefusedPause : kLongestPause);
      }
      sleep(wait);
    }
    orders_.end_all();
    restores_.end_all();
    base::log().info("ended");
  }

 private:
  // Up to twice as long, so that a hundred agents do not reconnect at the same instant.
  milliseconds with_random_part(milliseconds pause) {
    return pause + milliseconds(random_() % static_cast<uint64_t>(pause.count()));
  }

  [[noreturn]] void end_revoked(const Error& revoked) {
    orders_.end_all();
    restores_.end_all();
    throw Error(ErrorCode::unauthorized,
                "for hours the appliance has answered that this host was revoked; this agent "
                "stops: " +
                    revoked.message() +
                    "; if that is a mistake, make a token on the appliance with 'muletto token "
                    "create' and enroll with --replace");
  }

  // Read again each time: the host may have been enrolled at another appliance in the meantime.
  milliseconds poll_once() {
    Enrollment enrollment = load_enrollment(config_.state_directory);
    host_id_ = enrollment.host_id;
    renew_if_due(enrollment);
    for (orders::SyncOutcome& outcome : orders_.collect()) outcomes_.push_back(std::move(outcome));
    json message{{"outcomes", json::array()}, {"running", json::array()}};
    for (const orders::SyncOutcome& outcome : outcomes_) {
      message["outcomes"].push_back(
          {{"order", outcome.order}, {"succeeded", outcome.succeeded}, {"error", outcome.error}});
    }
    for (const orders::RunningSync& sync : orders_.running()) {
      message["running"].push_back({{"order", sync.order},
                                    {"machine", sync.machine},
                                    {"done", sync.done},
                                    {"total", sync.total}});
    }
    if (!forgotten_.empty()) message["forgotten"] = forgotten_;
    if (!restores_.is_idle()) message["restores"] = restores_.reports();
    json kept_off = guard_.reports();
    if (!kept_off.empty()) message["kept_off"] = std::move(kept_off);
    json report = report_of(config_);
    bool wanted = report != reported_ || Clock::now() - reported_at_ > kReportEvery;
    if (wanted) message["report"] = report;
    base::HttpResponse answer =
        appliance_client(enrollment)
            .send({"POST", "/api/v1/agent/poll", {}, base::dump_text(message)});
    if (answer.status != 200) {
      Error refusal = base::error_of_answer(answer).with_context(
          "the appliance " + enrollment.appliance.text() + " refused");
      if (says_revoked(answer)) throw Revoked(refusal);
      throw refusal;
    }
    if (wanted) {
      reported_ = std::move(report);
      reported_at_ = Clock::now();
    }
    outcomes_.clear();
    forgotten_ = json::array();
    restores_.forget_told();
    return obey(answer.body);
  }

  // A failure is retried the next day: there are years left.
  void renew_if_due(Enrollment& enrollment) {
    if (renewal_tried_ && Clock::now() < *renewal_tried_ + kRenewalEvery) return;
    if (!is_renewal_due(enrollment, base::now_ms())) return;
    renewal_tried_ = Clock::now();
    try {
      Enrollment renewed = renew(enrollment);
      save_enrollment(config_.state_directory, renewed);
      enrollment = std::move(renewed);
      base::log().info("this host's certificate is renewed");
    } catch (const Error& error) {
      base::log().warn("this host's certificate could not be renewed yet: {}", error.message());
    }
  }

  // The appliance is not trusted more than anyone else: an answer with other types changes nothing.
  milliseconds obey(const std::string& body) {
    try {
      json answer = base::parse_json(body, "the answer");
      uint64_t wait_ms = base::expect_natural(answer, "wait_ms");
      std::vector<std::pair<uint64_t, std::string>> orders;
      for (const json& order : base::expect_list(answer, "orders", kMaxOrders)) {
        orders.emplace_back(base::expect_natural(order, "order"),
                            base::expect_text(order, "machine", kMaxMachineName));
        base::check_name(orders.back().second, "machine's name");
      }
      orders_.set_rate(base::find_natural(answer, "rate"));
      for (const auto& [order, machine] : orders) orders_.begin({order, machine, sync_command_});
      for (const json& machine : base::find_list(answer, "to_forget")) {
        if (machine.is_string() && forgotten_.size() < kMaxForgotten)
          forget(machine.get<std::string>());
      }
      for (const json& restore : base::find_list(answer, "restores")) begin_restore(restore);
      if (base::find_field(answer, "keep_off") != nullptr) keep_off(answer);
      for (const json& order : base::find_list(answer, "end_restores")) {
        if (order.is_number_unsigned()) restores_.end(order.get<uint64_t>());
      }
      if (base::find_flag(answer, "wants_report").value_or(false)) reported_ = nullptr;
      uint64_t longest = static_cast<uint64_t>(kLongestWait.count());
      return std::max(milliseconds(std::min(wait_ms, longest)), milliseconds(50));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::invalid_argument) throw;
      throw Error(ErrorCode::corrupt, "the appliance's answer cannot be read: " + error.message());
    }
  }

  // A host that lets nothing be restored lets nothing be ended either.
  void keep_off(const json& answer) {
    std::vector<homeward::KeptOffMachine> wanted;
    for (const json& each : base::expect_list(answer, "keep_off", kMaxKeptOff)) {
      homeward::KeptOffMachine machine;
      machine.machine = base::expect_text(each, "machine", kMaxMachineName);
      base::check_name(machine.machine, "machine's name");
      machine.boot = base::expect_text(each, "boot", kMaxMachineName);
      machine.age_ms = base::expect_natural(each, "age_ms");
      machine.after = base::expect_natural(each, "after");
      wanted.push_back(std::move(machine));
    }
    if (config_.restores) guard_.set(wanted);
  }

  // One that cannot be understood does not affect the others.
  void begin_restore(const json& order) {
    try {
      restores_.begin(order);
    } catch (const Error& error) {
      base::log().warn("an order to restore is refused: {}", error.message());
      if (auto number = base::find_natural(order, "order"))
        restores_.refuse(*number, error.message());
    }
  }

  // Removes what syncs keep of a machine that is no longer protected. In a process of its own, as a
  // sync is: libvirt may hang.
  void forget(const std::string& machine) {
    base::check_name(machine, "machine's name");
    std::string problem;
    try {
      std::vector<std::string> command = forget_command_;
      command.insert(command.end(), {"--", machine});
      base::CommandResult told = base::run_command(command, kForgetTimeout);
      if (told.status != 0) problem = base::clean_text(base::trim(told.errors), kMaxForgetWords);
      if (told.status != 0 && problem.empty()) problem = "it ended without a word";
    } catch (const Error& error) {
      problem = error.message();
    }
    json entry{{"machine", machine}};
    if (problem.empty()) {
      base::log().info("{} is no longer protected: what its syncs kept here is removed", machine);
    } else {
      entry["error"] = problem;
      base::log().warn("what syncs of {} keep here could not be removed: {}", machine, problem);
    }
    forgotten_.push_back(std::move(entry));
  }

  // Until the time is over, a sync ends, or the service is stopped.
  void sleep(milliseconds duration) {
    std::vector<pollfd> events{{wake_.get(), POLLIN, 0}};
    if (contact_.record().problem.empty()) {
      for (int descriptor : orders_.descriptors()) events.push_back({descriptor, POLLIN, 0});
      for (int descriptor : restores_.descriptors()) events.push_back({descriptor, POLLIN, 0});
    }
    ::poll(events.data(), events.size(), static_cast<int>(duration.count()));
  }

  const Config& config_;
  Contact contact_;
  std::string host_id_;  // of the last attempt; empty: there was none
  const std::vector<std::string> sync_command_, forget_command_;
  orders::SyncProcesses orders_;
  homeward::RestoreProcesses restores_;
  homeward::HomeGuard guard_;
  std::stop_token stop_;
  base::UniqueFd wake_;
  std::stop_callback<std::function<void()>> on_stop_;
  std::vector<orders::SyncOutcome> outcomes_;  // not reported yet
  json forgotten_ = json::array();             // not reported yet
  json reported_ = nullptr;
  Clock::time_point reported_at_{};
  std::optional<Clock::time_point> renewal_tried_;
  std::mt19937_64 random_{std::random_device{}()};
};

}  // namespace

void run_service(const Config& config, const ServiceCommands& commands, std::stop_token stop) {
  if (!is_enrolled(config.state_directory)) load_enrollment(config.state_directory);  // throws
  make_agent_directories(config.state_directory, config.run_directory);
  std::unique_ptr<base::FileLock> lock;
  try {
    lock = base::real_file_system().lock(config.run_directory, base::LockKind::exclusive);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::busy) throw;
    throw Error(ErrorCode::busy,
                "muletto-agent is already running as a service in " + config.run_directory);
  }
  Service(config, commands, std::move(stop)).run();
}

}  // namespace agent::daemon
