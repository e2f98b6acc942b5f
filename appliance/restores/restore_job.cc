#include "appliance/restores/restore_job.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"
#include "restore/machine_restore.h"

namespace appliance::restores {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

// Bytes of a disk that are not zeros: what a new file of it needs.
uint64_t data_size(images::DiskReader& disk) {
  constexpr uint64_t kWindow = 1ull << 30;
  uint64_t size = 0;
  for (uint64_t at = 0; at < disk.size(); at += kWindow)
    for (const images::Extent& extent : disk.extents(at, std::min(kWindow, disk.size() - at)))
      if (extent.kind == images::ExtentKind::data) size += extent.length;
  return size;
}

// The appliance's own stores, catalog and VMs may be on the same disk: a restore leaves as much free
// as a sync does.
void require_space(images::StoreReader& reader, const images::Point& point,
                   const RestoreOrder& order, const std::string& directory) {
  uint64_t needed = 0;
  for (const images::PointDisk& disk : point.disks) {
    bool is_wanted = order.disks.empty() || std::find(order.disks.begin(), order.disks.end(),
                                                      disk.name) != order.disks.end();
    if (is_wanted) needed += data_size(*reader.open_disk(point.id, disk.name));
  }
  struct statvfs space {};
  if (::statvfs(directory.c_str(), &space) != 0)
    throw base::system_error(errno, "cannot measure the free space of " + directory);
  uint64_t free = uint64_t{space.f_bavail} * space.f_frsize;
  uint64_t size = uint64_t{space.f_blocks} * space.f_frsize;
  uint64_t reserve = std::min(std::max(uint64_t{1} << 30, size / 50), size / 10);
  if (needed + reserve <= free) return;
  throw Error(ErrorCode::no_space,
              fmt::format("{} has {} free, and this restore needs {} beside the {} that stay free "
                          "for the appliance. Nothing was written: make room, or choose another "
                          "disk (restore.directory in mulettod.toml)",
                          directory, base::format_size(free), base::format_size(needed),
                          base::format_size(reserve)));
}

json disk_json(const restore::DiskRestore& disk, const restore::DiskResult& result) {
  json entry{{"disk", disk.disk_name},
             {"file", disk.target},
             {"size", result.written.bytes_total},
             {"written", result.written.bytes_written},
             {"verified", result.written.bytes_verified},
             {"duration_ms", result.duration_ms},
             {"differing", nullptr}};
  // qemu-img does not say what of it differed.
  if (disk.format == "raw") entry["differing"] = result.written.bytes_differing;
  return entry;
}

// One restore while it runs.
class RestoreJob {
 public:
  RestoreJob(stores::TenantStores& stores, std::string directory, RestoreOrder order)
      : stores_(stores), directory_(std::move(directory)), order_(std::move(order)) {}

  void run(jobs::JobContext& context) {
    // First: what fails has to say whereto.
    restore::MachineRestore machine = machine_order(context);
    begin_figures(machine.directory, context);
    auto writer = stores_.writer(order_.tenant);
    images::StoreReader& reader = writer->reader();
    images::Point point = reader.read_point(order_.point);
    if (!order_.survey) {
      std::error_code error;
      std::filesystem::create_directories(machine.directory, error);
      if (error) throw base::system_error(error.value(), "cannot make " + machine.directory);
      if (!order_.in_place) require_space(reader, point, order_, machine.directory);
    }
    count_total(point);
    restore::MachineResult result = restore::restore_machine(
        reader, point, machine,
        [&](const restore::DiskRestore& disk) { return write(reader, disk, context); });
    figures_["files"] = result.files.paths;
    for (const restore::DiskRestore& disk : result.disks)
      if (!order_.survey) figures_["files"].push_back(disk.target);
    figures_["host_paths"] = result.files.definition.host_paths;
    context.set_figures(base::dump_text(figures_));
    context.set_progress({total_, total_, ""});
  }

 private:
  restore::MachineRestore machine_order(jobs::JobContext& context) const {
    restore::MachineRestore machine;
    machine.directory = fmt::format("{}/{}/{}", directory_, order_.tenant.text(), order_.folder);
    machine.disks = order_.disks;
    machine.common.store = {stores_.directory_of(order_.tenant), stores_.key_file_of(order_.tenant),
                            ""};
    machine.common.format = order_.format;
    if (order_.in_place) machine.common.placement = restore::Placement::in_place;
    machine.common.overwriting = order_.overwriting;
    machine.common.write.rate_limit = order_.rate;
    machine.common.write.survey = order_.survey;
    machine.common.write.verify = order_.verify;
    machine.common.write.stop = context.stop();
    return machine;
  }

  void begin_figures(const std::string& folder, jobs::JobContext& context) {
    figures_ = {{"point", order_.point.hex()}, {"folder", folder},
                {"survey", order_.survey},     {"files", json::array()},
                {"disks", json::array()},      {"notes", json::array()},
                {"format", order_.format},     {"host_paths", json::array()}};
    figures_["target"] = {{"kind", "folder"}, {"name", order_.folder}};
    context.set_figures(base::dump_text(figures_));
    context.set_progress({0, 0, "opening the store"});  // also saves the figures
  }

  void count_total(const images::Point& point) {
    uint64_t size = 0;
    for (const images::PointDisk& disk : point.disks) {
      if (order_.disks.empty() ||
          std::find(order_.disks.begin(), order_.disks.end(), disk.name) != order_.disks.end())
        size += disk.size;
    }
    total_ = size * rounds();
    figures_["size"] = size;
  }
  uint64_t rounds() const {
    return !order_.survey && order_.verify == restore::Verify::all ? 2 : 1;
  }

  restore::DiskResult write(images::StoreReader& reader, const restore::DiskRestore& given,
                            jobs::JobContext& context) {
    restore::DiskRestore disk = given;
    disk.write.on_progress = [&](const restore::WriteProgress& progress) {
      bool reads_back = progress.phase == restore::WritePhase::verify;
      uint64_t done = reads_back
                          ? progress.bytes_total + (rounds() == 2 ? progress.bytes_verified : 0)
                          : progress.bytes_compared;
      std::string doing(restore::phase_name(progress.phase));
      if (order_.survey) doing = "comparing";
      context.set_progress({done_ + done, total_, disk.disk_name + ": " + doing});
    };
    restore::DiskResult result = restore::restore_disk(reader, disk);
    done_ += result.written.bytes_total * rounds();
    figures_["disks"].push_back(disk_json(disk, result));
    for (const std::string& note : result.notes) {
      figures_["notes"].push_back(note);
      context.log(note);
    }
    context.log(fmt::format("{}: {} of {} {}", disk.disk_name,
                            base::format_size(order_.survey ? result.written.bytes_differing
                                                            : result.written.bytes_written),
                            base::format_size(result.written.bytes_total),
                            order_.survey ? "differ" : "written"));
    context.set_figures(base::dump_text(figures_));
    return result;
  }

  stores::TenantStores& stores_;
  const std::string directory_;
  const RestoreOrder order_;
  json figures_;
  uint64_t total_ = 0, done_ = 0;  // bytes compared and read back
};

void require_format(const std::string& format) {
  const std::vector<std::string>& known = restore::formats();
  if (std::find(known.begin(), known.end(), format) != known.end()) return;
  std::string all;
  for (const std::string& name : known) all += (all.empty() ? "" : ", ") + name;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("there is no format '{}': {}", base::clean_text(format, 40), all));
}

}  // namespace

void check_folder(const std::string& folder) {
  base::check_name(folder, "folder's name");
  if (folder.find('/') != std::string::npos || folder[0] == '.') {
    throw Error(ErrorCode::invalid_argument,
                "the folder is one name, without '/' and not beginning with a dot: it is made in "
                "the appliance's directory of restores");
  }
}

jobs::JobId submit_restore(stores::TenantStores& stores, jobs::JobRunner& jobs,
                           const std::string& directory, const RestoreOrder& order) {
  check_folder(order.folder);
  require_format(order.format);
  auto writer = stores.writer(order.tenant);
  images::Point point = writer->reader().read_point(order.point);
  for (const std::string& disk : order.disks) static_cast<void>(point.disk(disk));  // or not_found
  jobs::JobSpec spec{"restore", order.tenant, point.machine_name, order.requested_by};
  auto job = std::make_shared<RestoreJob>(stores, directory, order);
  return jobs.submit(spec, [job](jobs::JobContext& context) { job->run(context); });
}

}  // namespace appliance::restores
