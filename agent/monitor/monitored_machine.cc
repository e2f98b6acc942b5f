#include "agent/monitor/monitored_machine.h"

#include <exception>
#include <functional>

#include "agent/monitor/disk_bitmaps.h"
#include "agent/monitor/qemu_backup.h"
#include "agent/monitor/qmp_socket.h"
#include "agent/monitor/raw_tracking.h"
#include "agent/state_layout.h"
#include "agent/tracking.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scratch_directory.h"

namespace agent::monitor {
namespace {

constexpr char kGuardedMachine[] = "monitor";

bool is_gone(const base::Error& error) { return error.code() == base::ErrorCode::not_found; }

class MachineOfGuard : public GuardedMachine {
 public:
  MachineOfGuard(MonitoredMachine machine, SyncPlace place)
      : machine_(std::move(machine)), place_(std::move(place)) {}
  const std::string& name() const override { return place_.machine_name; }
  bool running() const override { return is_running(machine_.socket); }
  void thaw() override { GuestAgentSocket(machine_.guest_agent).thaw(); }
  void remove_leftovers() override {
    QmpSocket socket(machine_.socket);
    monitor::remove_leftovers(machine_, place_, socket);
  }

 private:
  MonitoredMachine machine_;
  SyncPlace place_;
};

}  // namespace

std::vector<std::string> guard_words(const MonitoredMachine& machine, const SyncPlace& place) {
  return {kGuardedMachine,    machine.socket,        machine.guest_agent,
          place.machine_name, place.state_directory, place.run_directory};
}

std::unique_ptr<GuardedMachine> guarded_machine(const std::vector<std::string>& words) {
  constexpr size_t kWordCount = 6;
  if (words.size() != kWordCount || words[0] != kGuardedMachine)
    throw base::Error(base::ErrorCode::invalid_argument, "a guard was started with other words");
  return std::make_unique<MachineOfGuard>(MonitoredMachine{words[1], words[2], ""},
                                          SyncPlace{words[3], words[4], words[5]});
}

bool is_running(const std::string& socket) {
  try {
    LineSocket probe(socket);
    return true;
  } catch (const base::Error&) {
    return false;
  }
}

void remove_leftovers(const MonitoredMachine& machine, const SyncPlace& place, Monitor& monitor) {
  std::exception_ptr first_failure;
  auto attempt = [&](const std::function<void()>& step) {
    try {
      step();
    } catch (const base::Error&) {
      if (!first_failure) first_failure = std::current_exception();
    }
  };
  attempt([&] {
    if (!is_marked_frozen(place)) return;
    base::log().warn("{} may still be frozen by an interrupted sync: thawing it",
                     place.machine_name);
    GuestAgentSocket(machine.guest_agent).thaw();
    unmark_frozen(place);
  });
  attempt([&] {
    end_backup(monitor, is_server_marked(place));
    unmark_server(place);
  });
  if (are_bitmaps_marked(place)) {
    auto record = load_tracking(place.state_directory, place.machine_name);
    remove_bitmaps(monitor, bitmaps_of(record ? record->monitor : std::nullopt));
  }
  std::string prefix = machine_file_name(place.machine_name);
  base::remove_abandoned_directories(scratch_parent(place.state_directory), prefix);
  base::remove_abandoned_directories(place.run_directory, prefix);
  if (first_failure) std::rethrow_exception(first_failure);
}

std::vector<std::string> forget_machine(const MonitoredMachine& machine, const SyncPlace& place) {
  std::vector<std::string> removed;
  try {
    QmpSocket socket(machine.socket);
    remove_leftovers(machine, place, socket);
    if (are_bitmaps_marked(place) && remove_bitmaps(socket, {}))
      removed.emplace_back("the records of changes that QEMU held in its memory");
  } catch (const base::Error& error) {
    if (!is_gone(error)) throw;
  }
  unmark_bitmaps(place);
  if (load_tracking(place.state_directory, place.machine_name))
    removed.emplace_back("the record of what changed since its last point");
  forget_tracking(place.state_directory, place.machine_name);
  return removed;
}

}  // namespace agent::monitor
