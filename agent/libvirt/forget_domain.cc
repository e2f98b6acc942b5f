#include "agent/libvirt/forget_domain.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "agent/domain_xml.h"
#include "agent/libvirt/backup_xml.h"
#include "agent/libvirt/domain.h"
#include "agent/libvirt/leftovers.h"
#include "agent/tracking.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/subprocess.h"
#include "images/sources/image_file_source.h"

namespace agent::libvirt {
namespace {

// The image as QEMU is told to open it for writing: not what it is built on.
std::string alone(const std::string& path) {
  nlohmann::json node{{"driver", "qcow2"},
                      {"backing", nullptr},
                      {"file", {{"driver", "file"}, {"filename", path}}}};
  return "json:" + base::dump_text(node);
}

// The names of our bitmaps in a qcow2 image that no QEMU has open. Its header is read in a jail, by a
// program that may only read, whatever the image is built on.
std::vector<std::string> own_bitmaps(const std::string& path) {
  images::ImageOptions options;
  options.allowed = {"/"};
  std::vector<std::string> names = images::bitmap_names(path, options);
  std::erase_if(names,
                [](const std::string& name) { return !name.starts_with(kCheckpointPrefix); });
  return names;
}

// libvirt cannot reach the bitmaps of a domain that is shut off.
void remove_bitmaps(const Domain& domain, std::vector<std::string>& removed) {
  for (const DomainDisk& disk : domain_facts(domain.inactive_xml()).disks) {
    if (disk.format != "qcow2") continue;
    std::string path = disk.volume.empty() ? disk.path : domain.volume_path(disk.pool, disk.volume);
    if (path.empty()) continue;
    for (const std::string& bitmap : own_bitmaps(path)) {
      base::run_checked({"qemu-img", "bitmap", "--remove", alone(path), bitmap});
      removed.push_back(fmt::format("bitmap {} of {}", bitmap, disk.name));
    }
  }
}

std::optional<Domain> find_domain(const std::string& uri, const std::string& name) {
  Connection connection(uri);
  try {
    return connection.domain(name);
  } catch (const base::Error& error) {
    if (error.code() != base::ErrorCode::not_found) throw;
    return std::nullopt;
  }
}

}  // namespace

std::vector<std::string> forget_domain(const std::string& uri, const std::string& domain_name,
                                       const MachineLock&, const CaptureSettings& settings) {
  std::vector<std::string> removed;
  auto domain = find_domain(uri, domain_name);
  if (domain) {
    remove_leftovers(*domain,
                     {settings.machine_name, settings.state_directory, settings.run_directory});
    for (const Checkpoint& checkpoint : domain->checkpoints()) {
      if (!checkpoint.name.starts_with(kCheckpointPrefix)) continue;
      domain->delete_checkpoint(checkpoint.name);
      removed.push_back("checkpoint " + checkpoint.name);
    }
    if (!domain->running()) remove_bitmaps(*domain, removed);
    if (forget_bitmaps(*domain,
                       {settings.machine_name, settings.state_directory, settings.run_directory}))
      removed.emplace_back("the records of changes that QEMU held in its memory");
  }
  if (load_tracking(settings.state_directory, settings.machine_name))
    removed.emplace_back("the record of what changed since its last point");
  forget_tracking(settings.state_directory, settings.machine_name);
  return removed;
}

}  // namespace agent::libvirt
