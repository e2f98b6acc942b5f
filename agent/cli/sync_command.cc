#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "agent/appliance_target.h"
#include "agent/cli/commands.h"
#include "agent/cli/common_options.h"
#include "agent/export_capture.h"
#include "agent/image_capture.h"
#include "agent/libvirt/domain_capture.h"
#include "agent/monitor/monitor_capture.h"
#include "agent/physical_capture.h"
#include "agent/service_files.h"
#include "agent/state_layout.h"
#include "agent/store_target.h"
#include "agent/sync.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/progress.h"
#include "base/rate_limit.h"
#include "base/text.h"
#include "images/sources/image_file_source.h"

namespace agent::cli {
namespace {

using base::Arguments;

// "vda=/x/y.qcow2" of --disk, and "/x/y.qcow2" of --image, whose name is vda.
std::vector<ImageDisk> image_disks(const Arguments& arguments, const MachineConfig& machine) {
  std::vector<ImageDisk> disks;
  if (arguments.has("image")) disks.push_back({"vda", arguments.get("image"), ""});
  for (const std::string& text : arguments.list("disk")) {
    size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw base::Error(base::ErrorCode::invalid_argument,
                        "--disk is NAME=FILE, not '" + text + "'");
    }
    disks.push_back({text.substr(0, equals), text.substr(equals + 1), ""});
  }
  // The images from the settings, unless the command line says what to capture.
  if (disks.empty() && !arguments.has("domain")) {
    for (const auto& [name, path] : machine.images) {
      auto format = machine.image_formats.find(name);
      bool own = format != machine.image_formats.end();
      disks.push_back({name, path, own ? format->second : machine.image_format});
    }
  }
  std::vector<std::string> names;
  for (const ImageDisk& disk : disks) names.push_back(disk.name);
  auto formats = images::formats_of_disks(arguments.list("format"), names);
  for (ImageDisk& disk : disks) {
    if (!formats[disk.name].empty()) disk.format = formats[disk.name];
  }
  return disks;
}

// "CHECKPOINT=POINT" of --origin.
std::optional<Origin> origin_of(const Arguments& arguments) {
  if (!arguments.has("origin")) return std::nullopt;
  std::string text = arguments.get("origin");
  size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "--origin is CHECKPOINT=POINT, not '" + text + "'");
  }
  return Origin{images::PointId::from_hex(text.substr(equals + 1)), text.substr(0, equals)};
}

CaptureSettings capture_settings(const Arguments& arguments, const Config& config,
                                 const MachineConfig& machine) {
  CaptureSettings settings;
  settings.machine_name = arguments.get("MACHINE");
  base::check_name(settings.machine_name, "machine's name");
  settings.state_directory = config.state_directory;
  settings.run_directory = config.run_directory;
  settings.full = arguments.has("full");
  settings.hooks = machine.hooks || arguments.has("hooks");
  settings.tpm_directory = config.tpm_directory;
  settings.nvram_directory = config.nvram_directory;
  settings.scratch_limit = arguments.has("scratch-limit")
                               ? base::parse_size(arguments.get("scratch-limit"))
                               : config.scratch_limit;
  settings.raw_tracking = machine.raw_tracking;
  settings.freeze = machine.freeze && !arguments.has("no-freeze");
  settings.origin = origin_of(arguments);
  settings.excluded_disks = machine.exclude_disks;
  settings.allowed_files = machine.allow;
  for (const std::string& file : arguments.list("allow")) settings.allowed_files.push_back(file);
  for (const std::string& name : arguments.list("exclude")) settings.excluded_disks.push_back(name);
  return settings;
}

std::unique_ptr<Target> open_target(const Arguments& arguments, const Config& config) {
  if (!arguments.has("store"))
    return std::make_unique<ApplianceTarget>(load_enrollment(config.state_directory));
  images::KeySource key =
      images::read_key_source(arguments.get_or<std::string>("passphrase-file", ""),
                              arguments.get_or<std::string>("key-file", ""));
  return std::make_unique<StoreTarget>(arguments.get("store"), key);
}

// None without --limit.
std::unique_ptr<base::RateLimit> rate_limit(const Arguments& arguments, std::stop_token stop) {
  if (arguments.has("limit-file")) return std::make_unique<base::RateLimit>(0, std::move(stop));
  if (!arguments.has("limit")) return nullptr;
  uint64_t rate = base::parse_size(arguments.get("limit"));
  if (rate == 0)
    throw base::Error(base::ErrorCode::invalid_argument, "--limit must be more than 0");
  return std::make_unique<base::RateLimit>(rate, std::move(stop));
}

nlohmann::json to_json(const SyncResult& result, const std::string& machine_name,
                       const Capture& capture) {
  const images::PointDetails& details = result.details;
  nlohmann::json json{{"point", result.point.hex()},
                      {"machine", machine_name},
                      {"time", base::format_time_ms(details.time_ms)},
                      {"consistency", images::consistency_name(details.consistency)},
                      {"bytes_read", details.figures.bytes_read},
                      {"bytes_sent", details.figures.bytes_sent},
                      {"bytes_stored", details.figures.bytes_stored},
                      {"duration_ms", details.figures.duration_ms},
                      {"frozen_ms", details.figures.frozen_ms},
                      {"note", details.note},
                      {"disks", nlohmann::json::array()}};
  for (const CapturedDisk& disk : capture.disks()) {
    json["disks"].push_back({{"name", disk.name},
                             {"size", disk.size},
                             {"incremental", disk.decision.incremental},
                             {"reason", disk.decision.reason}});
  }
  return json;
}

const char* consistency_label(images::Consistency consistency) {
  switch (consistency) {
    case images::Consistency::crash: return "crash-consistent";
    case images::Consistency::file_system: return "file systems consistent";
    case images::Consistency::application: return "applications consistent";
  }
  return "";
}

void print_text(const SyncResult& result, const std::string& machine_name) {
  const images::PointDetails& details = result.details;
  fmt::print("{}: point {} of {}, {}\n", machine_name, result.point.hex(),
             base::format_time_ms(details.time_ms), consistency_label(details.consistency));
  fmt::print("  {} read, {} sent, {} stored in {}", base::format_size(details.figures.bytes_read),
             base::format_size(details.figures.bytes_sent),
             base::format_size(details.figures.bytes_stored),
             base::format_duration_ms(details.figures.duration_ms));
  if (details.figures.frozen_ms > 0)
    fmt::print(", guest frozen for {} ms", details.figures.frozen_ms);
  fmt::print("\n");
  if (!details.note.empty()) fmt::print("  {}\n", details.note);
}

int run_sync(const Arguments& arguments, std::stop_token stop) {
  Config config = common_config(arguments);
  std::string name = arguments.get("MACHINE");
  MachineConfig machine = config.machines[name];
  CaptureSettings settings = capture_settings(arguments, config, machine);
  std::vector<ImageDisk> images = image_disks(arguments, machine);
  if (arguments.has("export") && (!images.empty() || arguments.has("physical"))) {
    throw base::Error(
        base::ErrorCode::invalid_argument,
        "--export is a whole machine: it goes without --image, --disk and --physical");
  }
  make_agent_directories(config.state_directory, config.run_directory);

  MachineLock lock(config.state_directory, name);
  std::unique_ptr<Target> target = open_target(arguments, config);
  std::optional<BasePoint> last = target->last_point(name);
  std::unique_ptr<Capture> capture;
  if (arguments.has("physical") || machine.physical) {
    capture = capture_physical(images, arguments.get_or<std::string>("sysroot", ""),
                               std::move(lock), settings);
  } else if (arguments.has("export")) {
    capture = capture_export(arguments.get("export"), settings, stop);
  } else if (images.empty() && !machine.monitor.empty() && !arguments.has("domain")) {
    monitor::MonitoredMachine monitored{machine.monitor, machine.guest_agent, machine.definition,
                                        machine.tpm_state};
    capture = monitor::capture_monitored(monitored, last, std::move(lock), settings);
  } else if (!images.empty()) {
    capture = capture_images(images, settings);
  } else {
    std::string domain = arguments.get_or("domain", machine.domain.empty() ? name : machine.domain);
    capture = libvirt::capture_domain(config.libvirt_uri, domain, last, std::move(lock), settings);
  }
  SyncOptions options;
  options.thread_count = config.thread_count;
  options.compression_level = config.compression_level;
  options.stop = stop;
  std::unique_ptr<base::RateLimit> limit = rate_limit(arguments, stop);
  if (limit) options.throttle = [&](uint64_t size) { limit->take(size); };
  std::optional<RateFollower> follower;
  if (arguments.has("limit-file")) follower.emplace(arguments.get("limit-file"), *limit);
  std::optional<PositionFile> position;
  if (arguments.has("progress-file")) position.emplace(arguments.get("progress-file"));
  std::optional<SyncResult> result;
  {
    base::ProgressPrinter printer(name, arguments.has("quiet")
                                            ? base::ProgressStyle::none
                                            : base::progress_style_of_standard_error());
    options.on_progress = [&](const images::CopyProgress& progress) {
      printer.show({.done = progress.bytes_done, .total = progress.bytes_total});
      if (follower) follower->look();
      if (position) position->show({progress.bytes_done, progress.bytes_total});
    };
    result = run_sync(name, *capture, last, *target, options);
  }
  if (arguments.json()) fmt::print("{}\n", base::dump_text(to_json(*result, name, *capture), 2));
  else print_text(*result, name);
  return 0;
}

}  // namespace

base::Command sync_command(std::stop_token stop) {
  base::Command command;
  command.name = "sync";
  command.summary = "Create a recovery point of a machine";
  command.positional = {"MACHINE"};
  command.declare_options = [](base::options::options_description_easy_init add) {
    using base::options::value;
    using Words = std::vector<std::string>;
    add("image", value<std::string>()->value_name("FILE"),
        "capture this image as disk vda, instead of a domain");
    add("disk", value<Words>()->value_name("NAME=FILE"),
        "capture this image as the disk NAME, instead of a domain");
    add("export", value<std::string>()->value_name("EXPORT"),
        "capture a machine that another hypervisor exported (OVA, OVF, VMX, VMA, VHD, or a folder "
        "of "
        "Hyper-V), instead of a domain");
    add("physical",
        "capture this server itself: all its fixed disks, or those of --disk; LVM volumes from a "
        "snapshot");
    add("sysroot", value<std::string>()->value_name("DIR"),
        "with --physical: find /sys, /proc and /dev of the server below DIR");
    add("format", value<Words>()->value_name("[DISK=]FORMAT"),
        "format of all images, or of one: raw, qcow2, vmdk, … (default: raw)");
    add("allow", value<Words>()->value_name("FILE"),
        "a file, or a folder with everything below it, that images elsewhere may build on");
    add("domain", value<std::string>()->value_name("DOMAIN"),
        "name or UUID of the libvirt domain (default: MACHINE)");
    add("exclude", value<Words>()->value_name("DISK"),
        "do not capture this disk: a name, a pattern such as 'vd[b-d]', or a pattern of image "
        "paths such as '/scratch/*'");
    add("origin", value<std::string>()->value_name("CHECKPOINT=POINT"),
        "the domain's disks were those of POINT when CHECKPOINT was created, which is never "
        "deleted; used by mulettod to sync instant VMs");
    add("full", "read everything, even if change tracking works");
    add("no-freeze", "do not freeze the guest's file systems");
    add("hooks", "check that the guest's freeze hooks ran");
    add("scratch-limit", value<std::string>()->value_name("SIZE"),
        "stop the sync when the guest has overwritten this much during it, such as 20G (default: "
        "when the disk is nearly full)");
    add("store", value<std::string>()->value_name("DIR"),
        "write the point into this store, instead of sending it to the appliance");
    add("key-file", value<std::string>()->value_name("FILE"), "file with the store's key");
    add("passphrase-file", value<std::string>()->value_name("FILE"),
        "file with the store's passphrase");
    add("limit", value<std::string>()->value_name("RATE"),
        "limit for reading in bytes a second, such as 20M (default: no limit)");
    add("limit-file", value<std::string>()->value_name("FILE"),
        "file with the limit in bytes a second, which may change; used by muletto-agent run");
    add("progress-file", value<std::string>()->value_name("FILE"),
        "file to which progress is written; used by muletto-agent run");
    add("quiet,q", "show no progress");
    declare_common_options(add);
  };
  command.notes =
      "MACHINE is a libvirt domain, running or shut off, a machine of the settings (also one whose "
      "QEMU is reached by its monitor socket, as on Proxmox VE), or, with --image, --disk, "
      "--export "
      "or --physical, image files, another hypervisor's export, or this server.\n\n"
      "Of a running domain, only what changed since the last point is read, if QEMU's record of "
      "changes continues from that very point. Otherwise everything is read, what the appliance "
      "has is not sent again, and the point's note says why. An interrupted sync leaves nothing "
      "behind.";
  command.run = [stop](const Arguments& arguments) { return run_sync(arguments, stop); };
  return command;
}

}  // namespace agent::cli
