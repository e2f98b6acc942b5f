#include "agent/homeward/host_restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>

#include "agent/appliance_target.h"
#include "agent/domain_xml.h"
#include "agent/enrollment.h"
#include "agent/homeward/definition.h"
#include "agent/homeward/home_start.h"
#include "agent/homeward/open_target.h"
#include "agent/homeward/own_disks.h"
#include "agent/homeward/permissions.h"
#include "agent/libvirt/domain.h"
#include "agent/libvirt/forget_domain.h"
#include "agent/libvirt/restored_domain.h"
#include "agent/machine_lock.h"
#include "agent/tracking.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/guarded.h"
#include "base/guarded_thread.h"
#include "base/log.h"
#include "base/private_file.h"
#include "base/text.h"
#include "images/wire/remote_point.h"
#include "restore/engine/disk_writer.h"
#include "restore/file_names.h"

namespace agent::homeward {
namespace {

using base::Error;
using base::ErrorCode;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::chrono::minutes kReconnectPatience{10};
constexpr milliseconds kReconnectPause{2000};
constexpr std::chrono::minutes kShutdownPatience{5};
constexpr milliseconds kTellEvery{200};
constexpr std::chrono::minutes kLockPatience{2};  // for a sync of the machine

class HostRestore {
 public:
  HostRestore(const RestoreOrder& order, const Config& config, const std::string& work_directory,
              const std::function<void(const RestoreStanding&)>& on_standing, std::stop_token stop)
      : order_(order), config_(config), work_directory_(work_directory), on_standing_(on_standing),
        stop_(stop), lock_(config.state_directory, order.machine, kLockPatience) {}

  RestoreStanding run() {
    Permissions permissions(config_, own_disks(config_));
    permissions.require_any();
    if (order_.home && is_start(*order_.home)) return take_start();
    tell("connecting to the appliance", true);
    connect();
    std::vector<RestoreTarget> targets = find_targets();
    for (RestoreTarget& target : targets) target.path = permissions.require(target.path);
    require_distinct(targets);
    if (order_.in_place && !order_.survey) {
      end_machine();
      // The rounds of a failback forget them once.
      if (!home_ || !home_->is_known()) forget_changes();
    }
    if (home_) home_->begin(targets, domain_of_home());
    // What speaks against the definition is said before anything is written.
    bool defines = order_.define && !order_.survey && !(home_ && home_->record().is_ours);
    if (defines) prepare_definition(targets);
    for (const RestoreTarget& target : targets) restore(target);
    if (order_.survey) {
      auto now = state_.lock();
      note(*now, fmt::format("{} of {} differ and would be written",
                             base::format_size(now->figures.differing),
                             base::format_size(now->figures.total)));
      now->doing = "compared";
      return finished(*now);
    }
    if (home_) home_->complete(order_.point);
    if (order_.home && order_.home->step == HomeOrder::Step::last) finish_home();
    else if (definition_) define();
    if (order_.start) start();
    auto now = state_.lock();
    now->doing = "restored";
    return finished(*now);
  }

  // Before it is thrown, what is known is told.
  void tell_last() noexcept {
    try {
      tell("failed", true);
    } catch (const std::exception&) {
      // The error itself is what matters.
    }
  }

 private:
  static void note(RestoreStanding& standing, std::string sentence) {
    standing.notes.push_back(std::move(sentence));
  }

  RestoreStanding finished(RestoreStanding& standing) {
    standing.duration_ms = elapsed_ms();
    standing.received = received_before_ + (remote_ ? remote_->received_size() : 0);
    if (on_standing_) on_standing_(standing);
    return standing;
  }

  uint64_t elapsed_ms() const {
    return static_cast<uint64_t>(
        std::chrono::duration_cast<milliseconds>(Clock::now() - begun_).count());
  }

  void tell(const std::string& doing, bool at_once) {
    auto standing = state_.lock();
    if (!doing.empty()) standing->doing = doing;
    auto now = Clock::now();
    if (!at_once && now - told_ < kTellEvery) return;
    told_ = now;
    finished(*standing);
  }

  std::string domain_name() const {
    auto known = config_.machines.find(order_.machine);
    bool has_name = known != config_.machines.end() && !known->second.domain.empty();
    return has_name ? known->second.domain : order_.machine;
  }

  // The disks that the machine has here, which are its own images' or its domain's.
  std::vector<RestoreTarget> own_targets() {
    std::vector<RestoreTarget> targets;
    auto known = config_.machines.find(order_.machine);
    if (known != config_.machines.end() && !known->second.images.empty()) {
      const MachineConfig& machine = known->second;
      for (const auto& [disk, path] : machine.images) {
        auto own = machine.image_formats.find(disk);
        std::string format =
            own != machine.image_formats.end() ? own->second : machine.image_format;
        targets.push_back({disk, path, format.empty() ? "raw" : format});
      }
    } else {
      libvirt::Domain domain = libvirt::Connection(config_.libvirt_uri).domain(domain_name());
      is_domain_ = true;
      for (const DomainDisk& disk : domain_facts(domain.inactive_xml()).disks)
        targets.push_back({disk.name, path_of(domain, disk), disk.format});
    }
    return matched(targets, "the machine has it no more on this host");
  }

  // Of a failback's later rounds: those of its first.
  std::vector<RestoreTarget> find_targets() {
    if (order_.home) home_.emplace(config_, order_);
    if (!home_ || !home_->is_known()) return order_.in_place ? own_targets() : chosen_targets();
    is_domain_ = order_.in_place;
    return matched(home_->targets(), "the failback has not restored it before");
  }

  std::string domain_of_home() const {
    if (!order_.in_place) return order_.name.empty() ? order_.machine : order_.name;
    return is_domain_ ? domain_name() : "";
  }

  // A target for each disk of the order, in that order.
  std::vector<RestoreTarget> matched(const std::vector<RestoreTarget>& targets,
                                     const char* missing) {
    std::vector<RestoreTarget> result;
    for (const images::PointDisk& disk : remote_->point().disks) {
      auto found = std::find_if(targets.begin(), targets.end(), [&](const RestoreTarget& target) {
        return target.disk == disk.name;
      });
      if (found == targets.end() || found->path.empty()) {
        throw Error(ErrorCode::not_found,
                    fmt::format("there is no place for the disk {}: {}", disk.name, missing));
      }
      if (found->format != "raw" && found->format != "qcow2") {
        throw Error(ErrorCode::unsupported,
                    fmt::format("the disk {} is a {} image here; only raw and qcow2 can be written "
                                "where they are",
                                disk.name, found->format));
      }
      result.push_back(*found);
    }
    return result;
  }

  std::vector<RestoreTarget> chosen_targets() {
    if (!order_.targets.empty()) return matched(order_.targets, "the order names no target for it");
    std::vector<RestoreTarget> targets;
    restore::FileNames names(order_.folder);
    for (const images::PointDisk& disk : remote_->point().disks) {
      std::string file = (order_.name.empty() ? order_.machine : order_.name) + "-" + disk.name;
      targets.push_back({disk.name, names.path_of(file, order_.format == "raw" ? ".img" : ".qcow2"),
                         order_.format});
    }
    return targets;
  }

  static void require_distinct(const std::vector<RestoreTarget>& targets) {
    std::set<std::string> paths;
    for (const RestoreTarget& target : targets) {
      if (!paths.insert(target.path).second)
        throw Error(ErrorCode::invalid_argument, "two disks have the same target " + target.path);
    }
  }

  // Its disks change behind QEMU's record of changes: the next sync reads them in full.
  void forget_changes() {
    if (!is_domain_) return forget_tracking(config_.state_directory, order_.machine);
    CaptureSettings settings;
    settings.machine_name = order_.machine;
    settings.state_directory = config_.state_directory;
    settings.run_directory = config_.run_directory;
    libvirt::forget_domain(config_.libvirt_uri, domain_name(), lock_, settings);
  }

  void end_machine() {
    if (!is_domain_) return;
    libvirt::Domain domain = libvirt::Connection(config_.libvirt_uri).domain(domain_name());
    if (!domain.running()) return;
    if (!order_.shut_down) {
      throw Error(
          ErrorCode::busy,
          fmt::format("'{}' is running; shut it down, or let the restore do it ('shut_down')",
                      domain.name()));
    }
    tell("shutting the machine down", true);
    libvirt::shut_down_domain(config_.libvirt_uri, domain.name(), kShutdownPatience, stop_);
    note(*state_.lock(), fmt::format("'{}' was shut down", domain.name()));
  }

  // --- reading ---

  void connect() {
    if (remote_) received_before_ += remote_->received_size();
    remote_.reset();
    ApplianceTarget appliance(load_enrollment(config_.state_directory));
    remote_ = images::RemotePoint::open(appliance.connect(), order_.ticket);
    if (remote_->point().id != order_.point || remote_->point().machine_name != order_.machine)
      throw Error(ErrorCode::corrupt, "the appliance gives another point than it ordered");
    total_ = 0;
    for (const images::PointDisk& disk : remote_->point().disks) total_ += disk.size;
    state_.lock()->figures.total = total_;
  }

  // Whether the connection can be made again. Pauses before.
  bool may_reconnect(const Error& error, Clock::time_point last_good) {
    bool temporary = error.code() == ErrorCode::unavailable || error.code() == ErrorCode::busy;
    if (!temporary || Clock::now() - last_good > kReconnectPatience) return false;
    base::log().warn("the appliance is gone for now: {}", error.message());
    tell("waiting for the appliance", true);
    return base::sleep_unless_stopped(stop_, kReconnectPause);
  }

  void restore(const RestoreTarget& target) {
    TargetWish wish{target.path, target.format, order_.machine,
                    home_ ? home_->overwriting(target)
                          : restore::Overwriting{order_.overwrite, order_.erase_foreign},
                    order_.survey};
    std::optional<OpenTarget> opened;
    const RestoreFigures before = state_.lock()->figures;
    for (auto last_good = Clock::now();;) {
      bool is_writing = false;
      try {
        if (!remote_) connect();
        last_good = Clock::now();
        bool is_read_back = !order_.survey && order_.verify != restore::Verify::none;
        auto disk = remote_->open_disk(target.disk, is_read_back ? images::ChunkCheck::by_caller
                                                                 : images::ChunkCheck::on_arrival);
        if (!opened) opened.emplace(wish, *disk, work_directory_);
        is_writing = true;
        write(target, *disk, opened->content(), before);
        break;
      } catch (const Error& error) {
        bool may_go_on = (is_writing || !remote_) && may_reconnect(error, last_good);
        if (!may_go_on) throw named(error, target.path);
        if (remote_) received_before_ += remote_->received_size();
        remote_.reset();
      }
    }
    bool is_device = opened->is_device();
    opened->finish();
    auto now = state_.lock();
    for (const std::string& each : opened->notes()) note(*now, each);
    if (!order_.survey) {
      note(*now, fmt::format("disk {}: {} as {}", target.disk, target.path,
                             is_device ? "a block device" : target.format));
    }
  }

  // A served image is called by its own name, instead of the one of its content.
  Error named(const Error& error, const std::string& path) const {
    std::string text = error.message(), content = work_directory_ + "/disk";
    for (size_t at = text.find(content); at != std::string::npos;) {
      text.replace(at, content.size(), path);
      at = text.find(content, at + path.size());
    }
    return Error(error.code(), text);
  }

  void write(const RestoreTarget& target, images::DiskReader& disk, restore::Target& content,
             const RestoreFigures& before) {
    restore::WriteOptions options;
    options.thread_count = config_.thread_count + 2;  // some wait for the network
    options.rate_limit = order_.rate;
    options.survey = order_.survey;
    options.verify = order_.verify;
    if (home_) {
      // The rest was compared a moment before, or is what the last round read back.
      options.verify = restore::Verify::written;
      if (home_->holds_base(remote_->base())) options.only = remote_->changes(target.disk);
    }
    options.stop = stop_;
    options.on_progress = [&](const restore::WriteProgress& now) {
      {
        auto state = state_.lock();
        RestoreFigures& all = state->figures;
        all.compared = before.compared + now.bytes_compared;
        // What was written before the connection broke compares as equal now.
        all.differing = std::max(all.differing, before.differing + now.bytes_differing);
        all.written = std::max(all.written, before.written + now.bytes_written);
        all.verified = before.verified + now.bytes_verified;
      }
      bool is_verifying = now.phase == restore::WritePhase::verify;
      tell((is_verifying    ? "reading back "
            : order_.survey ? "comparing "
                            : "restoring ") +
               target.disk,
           false);
    };
    restore::write_differences(disk, content, options);
  }

  // --- the machine ---

  std::optional<base::Bytes> state_file(const char* name) const {
    for (const auto& [each, content] : remote_->point().definition.state_files) {
      if (each == name) return content;
    }
    return std::nullopt;
  }

  static bool is_device(const std::string& path) {
    std::error_code ignored;
    return std::filesystem::is_block_file(path, ignored);
  }

  void prepare_definition(const std::vector<RestoreTarget>& targets) {
    if (config_.libvirt_uri.empty())
      throw Error(ErrorCode::unsupported,
                  "this host's agent uses no libvirt: nothing can be defined");
    if (!remote_->has_definition() || remote_->point().definition.libvirt_xml.empty()) {
      throw Error(ErrorCode::unsupported,
                  "the point has no libvirt definition: restore the disks, and define it yourself");
    }
    libvirt::HostInventory inventory = libvirt::host_inventory(config_.libvirt_uri);
    HostView host{inventory.networks, {}, inventory.names, inventory.uuids};
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/class/net", ignored)) {
      if (std::filesystem::exists(entry.path() / "bridge", ignored))
        host.bridges.insert(entry.path().filename().string());
    }
    DefinitionWishes wishes;
    wishes.name = order_.name;
    wishes.networks = order_.networks;
    for (const RestoreTarget& target : targets)
      wishes.disks[target.disk] = {target.path, target.format, is_device(target.path)};
    nvram_ = state_file("nvram");
    tpm_ = state_file("tpm");
    wishes.nvram_size = nvram_ ? nvram_->size() : 0;
    wishes.has_tpm_state = tpm_.has_value();
    restore::FileNames names(config_.nvram_directory);
    wishes.nvram_path =
        names.path_of(order_.name.empty() ? order_.machine : order_.name, "_VARS.fd");
    nvram_path_ = wishes.nvram_path;
    definition_ = adapt_definition(remote_->point().definition.libvirt_xml, wishes, host);
  }

  void define() {
    tell("defining the machine", true);
    libvirt::define_domain(config_.libvirt_uri, definition_->xml);
    try {
      put_state_in_place();
    } catch (const Error& error) {
      // Started without its variables it might not boot, and without its TPM ask for a recovery key.
      libvirt::undefine_domain(config_.libvirt_uri, definition_->name);
      throw error.with_context("the machine's firmware or TPM state cannot be put in place");
    }
    auto now = state_.lock();
    note(*now, fmt::format("defined as '{}'", definition_->name));
    for (const std::string& each : definition_->notes) note(*now, each);
  }

  // A failback's last round: the machine as it will be started.
  void finish_home() {
    if (!definition_) {
      replace_state(config_, home_->record().domain, remote_->point().definition,
                    [this](const std::string& sentence) { note(*state_.lock(), sentence); });
      return;
    }
    define();
    home_->defined(definition_->name);
  }

  static bool is_start(const HomeOrder& home) {
    return home.step == HomeOrder::Step::start || home.step == HomeOrder::Step::never_start;
  }

  RestoreStanding take_start() {
    auto say = [this](const std::string& sentence) { note(*state_.lock(), sentence); };
    tell(order_.home->step == HomeOrder::Step::start ? "starting the machine"
                                                     : "promising not to start the machine",
         true);
    HomeStart outcome = order_.home->step == HomeOrder::Step::start
                            ? start_at_home(config_, order_, say, stop_)
                            : never_start(config_, order_, say);
    auto now = state_.lock();
    now->home_start = outcome;
    now->doing = "done";
    return finished(*now);
  }

  void put_state_in_place() {
    if (definition_->uses_nvram) {
      if (std::filesystem::exists(nvram_path_)) {
        throw Error(ErrorCode::already_exists,
                    nvram_path_ + " exists; it is another machine's, or one that was removed");
      }
      base::write_private_file(nvram_path_, base::as_text(*nvram_));
    }
    if (definition_->uses_tpm) {
      // libvirt gives the files to swtpm's user at the start.
      std::string folder = config_.tpm_directory + "/" + definition_->uuid + "/tpm2";
      base::make_private_directory(folder);
      base::write_private_file(folder + "/tpm2-00.permall", base::as_text(*tpm_));
      note(*state_.lock(), "the emulated TPM has the machine's own state");
    }
  }

  void start() {
    std::string name = definition_ ? definition_->name : domain_name();
    if (!definition_ && !is_domain_) {
      note(*state_.lock(), "not started: the machine is no domain of libvirt here");
      return;
    }
    tell("starting the machine", true);
    libvirt::start_domain(config_.libvirt_uri, name);
    note(*state_.lock(), fmt::format("'{}' is started", name));
  }

  const RestoreOrder& order_;
  const Config& config_;
  const std::string work_directory_;
  const std::function<void(const RestoreStanding&)>& on_standing_;
  std::stop_token stop_;
  MachineLock lock_;  // no sync of the machine meanwhile
  std::shared_ptr<images::RemotePoint> remote_;
  std::optional<HomeDisks> home_;  // of a failback
  uint64_t received_before_ = 0, total_ = 0;
  bool is_domain_ = false;
  std::optional<Definition> definition_;
  std::optional<base::Bytes> nvram_, tpm_;
  std::string nvram_path_;
  const Clock::time_point begun_ = Clock::now();
  Clock::time_point told_{};
  base::Guarded<RestoreStanding> state_;
};

}  // namespace

RestoreStanding restore_to_host(const RestoreOrder& order, const Config& config,
                                const std::string& work_directory,
                                const std::function<void(const RestoreStanding&)>& on_standing,
                                std::stop_token stop) {
  HostRestore restore(order, config, work_directory, on_standing, stop);
  try {
    return restore.run();
  } catch (const Error&) {
    restore.tell_last();
    throw;
  }
}

}  // namespace agent::homeward
