#include "appliance/boot/libvirt/defined_domains.h"

#include <cstdlib>
#include <memory>
#include <pugixml.hpp>
#include <sstream>

#include "base/text.h"

namespace appliance::boot::libvirt {
namespace {

struct FreeCheckpoint {
  void operator()(virDomainCheckpointPtr checkpoint) const { virDomainCheckpointFree(checkpoint); }
};
using Checkpoint = std::unique_ptr<virDomainCheckpoint, FreeCheckpoint>;

std::string checkpoint_xml(const CheckpointPlan& plan) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("domaincheckpoint");
  root.append_child("name").text() = plan.name.c_str();
  root.append_child("creationTime").text() = static_cast<unsigned long long>(base::now_ms() / 1000);
  pugi::xml_node disks = root.append_child("disks");
  for (const std::string& name : plan.disks) {
    pugi::xml_node disk = disks.append_child("disk");
    disk.append_attribute("name") = name.c_str();
    disk.append_attribute("checkpoint") = "bitmap";
    disk.append_attribute("bitmap") = plan.name.c_str();
  }
  std::ostringstream text;
  document.save(text, "", pugi::format_raw | pugi::format_no_declaration);
  return text.str();
}

// Only libvirt's record of them: the caller handles the bitmaps.
bool forget_checkpoints(virDomainPtr domain) {
  virDomainCheckpointPtr* list = nullptr;
  int count = virDomainListAllCheckpoints(domain, &list, 0);
  if (count < 0) return false;
  bool done = true;
  for (int i = 0; i < count; ++i) {
    Checkpoint checkpoint(list[i]);
    unsigned int flags = VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY;
    done = virDomainCheckpointDelete(checkpoint.get(), flags) == 0 && done;
  }
  std::free(list);
  return done;
}

}  // namespace

bool undefine(virDomainPtr domain) {
  if (virDomainIsPersistent(domain) != 1) return true;
  unsigned int flags = VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA |
                       VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA;
  return virDomainUndefineFlags(domain, flags) == 0;
}

bool has_checkpoint(virDomainPtr domain, const std::string& checkpoint) {
  return Checkpoint(virDomainCheckpointLookupByName(domain, checkpoint.c_str(), 0)) != nullptr;
}

bool set_checkpoint(virDomainPtr domain, const CheckpointPlan& plan) {
  if (!forget_checkpoints(domain)) return false;
  if (plan.disks.empty()) return true;
  Checkpoint made(virDomainCheckpointCreateXML(domain, checkpoint_xml(plan).c_str(),
                                               VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE));
  return made != nullptr;
}

DomainEnd last_end(virDomainPtr domain) {
  int state = 0, reason = 0;
  if (virDomainGetState(domain, &state, &reason, 0) != 0 || state != VIR_DOMAIN_SHUTOFF)
    return DomainEnd::unknown;
  switch (reason) {
    case VIR_DOMAIN_SHUTOFF_SHUTDOWN: return DomainEnd::guest;
    case VIR_DOMAIN_SHUTOFF_DESTROYED: return DomainEnd::destroyed;
    case VIR_DOMAIN_SHUTOFF_CRASHED:
    case VIR_DOMAIN_SHUTOFF_FAILED: return DomainEnd::crashed;
    default: return DomainEnd::unknown;
  }
}

}  // namespace appliance::boot::libvirt
