#include "agent/homeward/home_start.h"

#include "agent/homeward/home_guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "agent/domain_xml.h"
#include "agent/libvirt/domain.h"
#include "agent/libvirt/restored_domain.h"
#include "base/error.h"
#include "base/guarded_thread.h"
#include "base/log.h"
#include "base/private_file.h"

namespace agent::homeward {
namespace {

using base::Error;
using base::ErrorCode;
using Clock = std::chrono::steady_clock;

// A machine that runs for so long was not ended by QEMU's own doubts.
constexpr std::chrono::seconds kWatched{2};
constexpr std::chrono::milliseconds kLookEvery{200};

// What changes whenever somebody else may have written there: of a device, whenever the machine was
// started here, or nobody watched whether it was.
std::string mark_of(const Config& config, const RestoreOrder& order, const std::string& path) {
  std::string mark = file_mark(path);
  if (!mark.empty()) return mark;
  return fmt::format("generation {}", kept_off_generation(config.state_directory, order.machine));
}

bool is_on(const Config& config, const std::string& domain) {
  return libvirt::Connection(config.libvirt_uri).domain(domain).running();
}

HomeStart standing_of(const Config& config, const HomeRecord& record) {
  return is_on(config, record.domain) ? HomeStart::runs : HomeStart::ran;
}

void require_disks(const Config& config, const HomeRecord& record, const RestoreOrder& order) {
  auto refuse = [&](const std::string& why) {
    throw Error(ErrorCode::busy, fmt::format("'{}' is not started here: {}", order.machine, why));
  };
  if (record.failback != order.home->failback) refuse("this failback has restored nothing here");
  if (record.domain.empty()) refuse("it is no domain of libvirt's here");
  if (!record.point || *record.point != order.point) refuse("its disks do not hold the last point");
  for (const HomeTarget& target : record.targets) {
    if (mark_of(config, order, target.place.path) != target.mark)
      refuse(target.place.path + " was changed by somebody else since it was read back");
  }
}

}  // namespace

HomeDisks::HomeDisks(const Config& config, const RestoreOrder& order)
    : config_(config), order_(order) {
  auto known = load_home_record(config.state_directory, order.machine);
  if (known && known->failback == order.home->failback) record_ = std::move(*known);
  record_.failback = order.home->failback;
  record_.boot = order.home->boot;
  bool unchanged =
      std::all_of(record_.targets.begin(), record_.targets.end(), [&](const HomeTarget& target) {
        return mark_of(config, order, target.place.path) == target.mark;
      });
  if (unchanged) held_ = record_.point;
}

std::vector<RestoreTarget> HomeDisks::targets() const {
  std::vector<RestoreTarget> targets;
  for (const HomeTarget& target : record_.targets) targets.push_back(target.place);
  return targets;
}

bool HomeDisks::holds_base(const std::optional<images::PointId>& offered) const {
  return held_ && offered && *held_ == *offered && order_.home->base == held_;
}

restore::Overwriting HomeDisks::overwriting(const RestoreTarget&) const {
  if (held_) return {order_.machine, true};
  // An interrupted round left a mixture of ours, which nobody may use meanwhile.
  if (is_known() && !order_.in_place) return {order_.machine, true};
  return {order_.overwrite, order_.erase_foreign};
}

void HomeDisks::save() const { save_home_record(config_.state_directory, order_.machine, record_); }

void HomeDisks::begin(const std::vector<RestoreTarget>& targets, const std::string& domain) {
  if (record_.start == StartState::starting || record_.start == StartState::started) {
    throw Error(ErrorCode::busy,
                fmt::format("'{}' may have been started here by this failback: its disks are not "
                            "written any more",
                            order_.machine));
  }
  record_.targets.clear();
  for (const RestoreTarget& target : targets) record_.targets.push_back({target, ""});
  if (record_.domain.empty()) record_.domain = domain;
  record_.point.reset();
  save();
}

void HomeDisks::complete(const images::PointId& point) {
  for (HomeTarget& target : record_.targets)
    target.mark = mark_of(config_, order_, target.place.path);
  record_.point = point;
  save();
}

void HomeDisks::defined(const std::string& domain) {
  record_.domain = domain;
  record_.is_ours = true;
  save();
}

HomeStart start_at_home(const Config& config, const RestoreOrder& order, const Say& say,
                        std::stop_token stop) {
  auto record = load_home_record(config.state_directory, order.machine);
  if (!record) record.emplace();
  bool is_known = record->failback == order.home->failback && record->number == order.home->number;
  if (is_known && record->start == StartState::voided) {
    say("it was promised never to start the machine for this number");
    return HomeStart::voided;
  }
  // Interrupted between the record and the start, it may not have been started yet.
  bool was_started =
      is_known && (record->start == StartState::started ||
                   (record->start == StartState::starting && is_on(config, record->domain)));
  if (was_started) {
    record->start = StartState::started;
    save_home_record(config.state_directory, order.machine, *record);
    return standing_of(config, *record);
  }
  if (!is_known) {
    require_disks(config, *record, order);
    if (record->start == StartState::starting || record->start == StartState::started) {
      throw Error(ErrorCode::busy,
                  fmt::format("'{}' was started here for another number", order.machine));
    }
  }
  if (!is_known && is_on(config, record->domain)) {
    throw Error(ErrorCode::busy,
                fmt::format("'{}' runs here though nobody ordered it", record->domain));
  }
  record->number = order.home->number;
  record->start = StartState::starting;
  save_home_record(config.state_directory, order.machine, *record);
  try {
    libvirt::start_domain(config.libvirt_uri, record->domain);
  } catch (const Error& error) {
    if (is_on(config, record->domain)) throw;
    // It never ran: the guest has written nothing.
    record->start = StartState::voided;
    save_home_record(config.state_directory, order.machine, *record);
    say(error.message());
    return HomeStart::voided;
  }
  record->start = StartState::started;
  save_home_record(config.state_directory, order.machine, *record);
  for (auto begin = Clock::now(); Clock::now() - begin < kWatched;) {
    if (!base::sleep_unless_stopped(stop, kLookEvery) || !is_on(config, record->domain)) break;
  }
  HomeStart standing = standing_of(config, *record);
  say(standing == HomeStart::runs ? fmt::format("'{}' is started", record->domain)
                                  : fmt::format("'{}' was started and has ended", record->domain));
  return standing;
}

HomeStart never_start(const Config& config, const RestoreOrder& order, const Say& say) {
  auto record = load_home_record(config.state_directory, order.machine);
  if (!record || record->failback != order.home->failback) {
    record.emplace();
    record->failback = order.home->failback;
    record->boot = order.home->boot;
  }
  if (record->start == StartState::starting || record->start == StartState::started) {
    say("the machine was started here, or may have been");
    return standing_of(config, *record);
  }
  // Somebody else may have started it.
  if (!record->domain.empty() && is_on(config, record->domain)) {
    say(fmt::format("'{}' runs here though nobody ordered it: it is not given back",
                    record->domain));
    return HomeStart::runs;
  }
  record->number = order.home->number;
  record->start = StartState::voided;
  save_home_record(config.state_directory, order.machine, *record);
  say("the machine was not started here, and is never started for this number");
  return HomeStart::voided;
}

void replace_state(const Config& config, const std::string& domain,
                   const images::MachineDefinition& definition, const Say& say) {
  if (definition.state_files.empty()) return;
  libvirt::Domain known = libvirt::Connection(config.libvirt_uri).domain(domain);
  const std::string nvram = domain_facts(known.inactive_xml()).nvram_path;
  const std::string tpm = config.tpm_directory + "/" + known.uuid() + "/tpm2";
  for (const auto& [name, content] : definition.state_files) {
    if (name == "nvram" && !nvram.empty()) {
      base::write_private_file(nvram, base::as_text(content));
      say("the firmware has the machine's own variables");
    }
    if (name == "tpm" && std::filesystem::exists(tpm)) {
      base::write_private_file(tpm + "/tpm2-00.permall", base::as_text(content));
      say("the emulated TPM has the machine's own state");
    }
  }
}

}  // namespace agent::homeward
