#include "agent/libvirt/domain_capture.h"

#include "agent/domain_xml.h"
#include "agent/libvirt/domain.h"
#include "agent/libvirt/leftovers.h"
#include "agent/libvirt/running_capture.h"
#include "agent/stopped_capture.h"

namespace agent::libvirt {
namespace {

std::map<std::string, std::string> volume_paths(const Domain& domain, const DomainFacts& facts) {
  std::map<std::string, std::string> paths;
  for (const DomainDisk& disk : facts.disks) {
    if (!disk.volume.empty()) paths[disk.name] = domain.volume_path(disk.pool, disk.volume);
  }
  return paths;
}

StoppedDomain look_at_stopped(const Domain& domain, const CaptureSettings& settings) {
  StoppedDomain stopped;
  stopped.uuid = domain.uuid();
  stopped.inactive_xml = domain.inactive_xml();
  stopped.name = domain.name();
  stopped.unclean_stop = domain.unclean_stop();
  stopped.volume_paths = volume_paths(domain, domain_facts(stopped.inactive_xml));
  stopped.is_running = [domain] { return domain.running(); };
  auto record = load_tracking(settings.state_directory, settings.machine_name);
  for (const Checkpoint& checkpoint : domain.checkpoints()) {
    if (!record || checkpoint.name != record->checkpoint) continue;
    stopped.checkpoint_exists = true;
    stopped.checkpoint_disks = checkpoint.disks;
  }
  return stopped;
}

}  // namespace

std::unique_ptr<Capture> capture_domain(const std::string& uri, const std::string& domain_name,
                                        const std::optional<BasePoint>& last, MachineLock lock,
                                        const CaptureSettings& settings) {
  Domain domain = Connection(uri).domain(domain_name);
  remove_leftovers(domain,
                   {settings.machine_name, settings.state_directory, settings.run_directory});
  if (domain.running()) return capture_running(uri, domain, last, std::move(lock), settings);
  return capture_stopped(look_at_stopped(domain, settings), last, std::move(lock), settings);
}

}  // namespace agent::libvirt
