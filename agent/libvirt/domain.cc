#include "agent/libvirt/domain.h"

#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <pugixml.hpp>
#include <thread>

#include "agent/libvirt/errors.h"
#include "base/instant_vm_mark.h"
#include "base/log.h"

namespace agent::libvirt {
namespace {

constexpr auto kEndBackupTimeout = std::chrono::seconds(30);
constexpr auto kEndBackupPoll = std::chrono::milliseconds(10);

// A string that libvirt allocated; throws last_error(action) for null.
std::string take_string(char* text, const std::string& action) {
  if (text == nullptr) throw last_error(action);
  std::string copy(text);
  std::free(text);
  return copy;
}

int last_code() {
  virErrorPtr error = ::virGetLastError();
  return error == nullptr ? VIR_ERR_OK : error->code;
}

// Without a limit, a guest agent that died with its port open would block the sync forever. The limit
// is the domain's, not ours: afterwards it is libvirt's default again, since other programs' hooks
// may need longer.
class AgentTimeout {
 public:
  explicit AgentTimeout(virDomainPtr domain) : domain_(domain) {
    ::virDomainAgentSetResponseTimeout(domain_, kAgentTimeoutS, 0);
  }
  ~AgentTimeout() {
    ::virDomainAgentSetResponseTimeout(domain_, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, 0);
  }
  AgentTimeout(const AgentTimeout&) = delete;
  AgentTimeout& operator=(const AgentTimeout&) = delete;

 private:
  virDomainPtr domain_;
};

bool is_instant_vm(virDomainPtr domain) {
  char* mark =
      ::virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, base::kInstantVmMarkUri, 0);
  std::free(mark);
  return mark != nullptr;
}

Checkpoint describe(virDomainCheckpointPtr checkpoint) {
  Checkpoint found;
  found.name = ::virDomainCheckpointGetName(checkpoint);
  unsigned int flags = VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN;
  std::string xml = take_string(::virDomainCheckpointGetXMLDesc(checkpoint, flags),
                                "cannot read checkpoint " + found.name);
  pugi::xml_document document;
  document.load_buffer(xml.data(), xml.size());
  pugi::xml_node root = document.child("domaincheckpoint");
  found.time_s = root.child("creationTime").text().as_ullong();
  for (const pugi::xml_node& disk : root.child("disks").children("disk")) {
    if (disk.attribute("checkpoint").as_string() != std::string_view("bitmap")) continue;
    found.disks.emplace_back(disk.attribute("name").as_string());
  }
  return found;
}

}  // namespace

Connection::Connection(const std::string& uri) {
  silence_libvirt();
  virConnectPtr connection = ::virConnectOpen(uri.c_str());
  if (connection == nullptr) throw last_error("cannot connect to libvirt at " + uri);
  connection_.reset(connection, [](virConnectPtr open) { ::virConnectClose(open); });
}

bool Connection::alive() const { return ::virConnectIsAlive(connection_.get()) == 1; }

Domain Connection::domain(const std::string& name) const {
  virDomainPtr found = ::virDomainLookupByName(connection_.get(), name.c_str());
  if (found == nullptr) {
    base::Error error = last_error("cannot find domain " + name);
    found = ::virDomainLookupByUUIDString(connection_.get(), name.c_str());
    if (found == nullptr) throw error;
  }
  return Domain(connection_, std::shared_ptr<_virDomain>(
                                 found, [](virDomainPtr domain) { ::virDomainFree(domain); }));
}

std::vector<DomainSummary> Connection::domains() const {
  virDomainPtr* list = nullptr;
  int count = ::virConnectListAllDomains(connection_.get(), &list, 0);
  if (count < 0) throw last_error("cannot list the domains");
  std::vector<DomainSummary> domains;
  for (int i = 0; i < count; ++i) {
    std::array<char, VIR_UUID_STRING_BUFLEN> uuid{};
    ::virDomainGetUUIDString(list[i], uuid.data());
    domains.push_back({::virDomainGetName(list[i]), uuid.data(), ::virDomainIsActive(list[i]) == 1,
                       is_instant_vm(list[i])});
    ::virDomainFree(list[i]);
  }
  std::free(list);
  std::sort(domains.begin(), domains.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return domains;
}

Domain::Domain(std::shared_ptr<_virConnect> connection, std::shared_ptr<_virDomain> domain)
    : connection_(std::move(connection)), domain_(std::move(domain)),
      name_(::virDomainGetName(domain_.get())) {
  std::array<char, VIR_UUID_STRING_BUFLEN> uuid{};
  if (::virDomainGetUUIDString(domain_.get(), uuid.data()) != 0)
    throw last_error("cannot identify " + name_);
  uuid_ = uuid.data();
}

bool Domain::running() const {
  int active = ::virDomainIsActive(domain_.get());
  if (active < 0) throw last_error("cannot read the state of " + name_);
  return active == 1;
}

bool Domain::paused() const {
  int state = VIR_DOMAIN_NOSTATE;
  if (::virDomainGetState(domain_.get(), &state, nullptr, 0) != 0) {
    throw last_error("cannot read the state of " + name_);
  }
  return state != VIR_DOMAIN_RUNNING && state != VIR_DOMAIN_BLOCKED && running();
}

bool Domain::persistent() const { return ::virDomainIsPersistent(domain_.get()) == 1; }

std::string Domain::unclean_stop() const {
  int state = VIR_DOMAIN_NOSTATE, reason = 0;
  if (::virDomainGetState(domain_.get(), &state, &reason, 0) != 0)
    throw last_error("cannot read the state of " + name_);
  if (::virDomainHasManagedSaveImage(domain_.get(), 0) == 1) {
    return "its memory is saved on the host (virsh managedsave) and not in the point: the disks "
           "are "
           "as after a power cut at that moment";
  }
  switch (reason) {
    case VIR_DOMAIN_SHUTOFF_SHUTDOWN: return "";
    case VIR_DOMAIN_SHUTOFF_DESTROYED: return "it was forced off";
    case VIR_DOMAIN_SHUTOFF_CRASHED: return "QEMU or the guest crashed";
    case VIR_DOMAIN_SHUTOFF_FAILED: return "its last start failed";
    case VIR_DOMAIN_SHUTOFF_SAVED:
      return "its memory was saved to a file, which is not in the point";
    case VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT: return "it was set back to a snapshot";
    default:
      return "libvirt does not know how it stopped (libvirt or the host was restarted since, or it "
             "never ran here): the disks may be as after a power cut";
  }
}

std::string Domain::volume_path(const std::string& pool, const std::string& volume) const {
  std::shared_ptr<_virStoragePool> found(
      ::virStoragePoolLookupByName(connection_.get(), pool.c_str()), [](virStoragePoolPtr pointer) {
        if (pointer != nullptr) ::virStoragePoolFree(pointer);
      });
  if (!found) throw last_error("cannot find storage pool " + pool + " of " + name_);
  std::shared_ptr<_virStorageVol> disk(::virStorageVolLookupByName(found.get(), volume.c_str()),
                                       [](virStorageVolPtr pointer) {
                                         if (pointer != nullptr) ::virStorageVolFree(pointer);
                                       });
  if (!disk)
    throw last_error("cannot find volume " + volume + " of storage pool " + pool + " of " + name_);
  return take_string(::virStorageVolGetPath(disk.get()),
                     "cannot find where volume " + volume + " is");
}

std::string Domain::live_xml() const {
  return take_string(::virDomainGetXMLDesc(domain_.get(), 0),
                     "cannot read the description of " + name_);
}

std::string Domain::inactive_xml() const {
  return take_string(::virDomainGetXMLDesc(domain_.get(), VIR_DOMAIN_XML_INACTIVE),
                     "cannot read the definition of " + name_);
}

uint64_t Domain::disk_size(const std::string& disk) const {
  virDomainBlockInfo info{};
  if (::virDomainGetBlockInfo(domain_.get(), disk.c_str(), &info, 0) != 0) {
    throw last_error("cannot read the size of disk " + disk + " of " + name_);
  }
  return info.capacity;
}

void Domain::freeze() const {
  AgentTimeout timeout(domain_.get());
  if (::virDomainFSFreeze(domain_.get(), nullptr, 0, 0) < 0)
    throw last_error("cannot freeze " + name_);
}

std::optional<bool> Domain::frozen() const {
  try {
    std::string answer = agent_command(R"({"execute": "guest-fsfreeze-status"})");
    return answer.find("\"frozen\"") != std::string::npos;
  } catch (const base::Error&) {
    return std::nullopt;
  }
}

void Domain::thaw() const {
  AgentTimeout timeout(domain_.get());
  if (::virDomainFSThaw(domain_.get(), nullptr, 0, 0) < 0) throw last_error("cannot thaw " + name_);
}

BackupOutcome Domain::begin_backup(const std::string& backup_xml, const std::string& checkpoint_xml,
                                   std::string& why) const {
  const char* checkpoint = checkpoint_xml.empty() ? nullptr : checkpoint_xml.c_str();
  // Creating scratch files beforehand saves a QEMU job for each, while the guest is frozen.
  unsigned int flags = VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL;
  if (::virDomainBackupBegin(domain_.get(), backup_xml.c_str(), checkpoint, flags) == 0)
    return BackupOutcome::begun;
  base::Error error = last_error("cannot begin a backup of " + name_);
  if (last_code() != VIR_ERR_CHECKPOINT_INCONSISTENT && last_code() != VIR_ERR_NO_DOMAIN_CHECKPOINT)
    throw error;
  why = error.message();
  return BackupOutcome::bitmap_unusable;
}

std::string Domain::agent_command(const std::string& command) const {
  char* answer = ::virDomainQemuAgentCommand(domain_.get(), command.c_str(), kAgentTimeoutS, 0);
  return take_string(answer, "the guest agent of " + name_ + " did not carry out the command");
}

std::string Domain::monitor_command(const std::string& command) const {
  char* answer = nullptr;
  if (::virDomainQemuMonitorCommand(domain_.get(), command.c_str(), &answer, 0) != 0)
    throw last_error("the monitor of " + name_ + " did not carry out a command");
  return take_string(answer, "the monitor of " + name_ + " gave no answer");
}

std::string Domain::block_job(const std::string& disk) const {
  virDomainBlockJobInfo info{};
  if (::virDomainGetBlockJobInfo(domain_.get(), disk.c_str(), &info, 0) != 1) return "";
  switch (info.type) {
    case VIR_DOMAIN_BLOCK_JOB_TYPE_PULL: return "a pull of its bases";
    case VIR_DOMAIN_BLOCK_JOB_TYPE_COPY: return "a copy";
    case VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT:
    case VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT: return "a commit into its base";
    case VIR_DOMAIN_BLOCK_JOB_TYPE_BACKUP: return "a backup";
    default: return "a block job";
  }
}

std::string Domain::backup_xml() const {
  char* xml = ::virDomainBackupGetXMLDesc(domain_.get(), 0);
  if (xml == nullptr &&
      (last_code() == VIR_ERR_NO_DOMAIN_BACKUP || last_code() == VIR_ERR_OPERATION_INVALID))
    return "";
  return take_string(xml, "cannot find out whether a backup of " + name_ + " runs");
}

// libvirt continues to work after its backup is gone: it restores the scratch files' labels.
bool Domain::has_job() const {
  virDomainJobInfo info{};
  return ::virDomainGetJobInfo(domain_.get(), &info) == 0 && info.type != VIR_DOMAIN_JOB_NONE;
}

void Domain::end_backup() const {
  auto deadline = std::chrono::steady_clock::now() + kEndBackupTimeout;
  bool asked = false;
  while (running() && (!backup_xml().empty() || has_job())) {
    // Requested again in every iteration: a job that is just starting does not see the first
    // request.
    if (!backup_xml().empty()) asked = ::virDomainAbortJob(domain_.get()) == 0;
    if (std::chrono::steady_clock::now() > deadline) {
      if (!asked) throw last_error("cannot end the backup of " + name_);
      throw base::Error(base::ErrorCode::unavailable, "libvirt did not end the backup of " + name_);
    }
    std::this_thread::sleep_for(kEndBackupPoll);
  }
}

std::vector<Checkpoint> Domain::checkpoints() const {
  virDomainCheckpointPtr* list = nullptr;
  int count =
      ::virDomainListAllCheckpoints(domain_.get(), &list, VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL);
  if (count < 0) {
    if (last_code() == VIR_ERR_NO_SUPPORT || last_code() == VIR_ERR_OPERATION_UNSUPPORTED)
      return {};
    throw last_error("cannot list the checkpoints of " + name_);
  }
  std::vector<Checkpoint> checkpoints;
  for (int i = 0; i < count; ++i) {
    try {
      checkpoints.push_back(describe(list[i]));
    } catch (const base::Error& error) {
      base::log().warn("{}", error.message());  // deleted in the meantime
    }
    ::virDomainCheckpointFree(list[i]);
  }
  std::free(list);
  return checkpoints;
}

void Domain::delete_checkpoint(const std::string& checkpoint) const {
  std::shared_ptr<_virDomainCheckpoint> found(
      ::virDomainCheckpointLookupByName(domain_.get(), checkpoint.c_str(), 0),
      [](virDomainCheckpointPtr pointer) {
        if (pointer != nullptr) ::virDomainCheckpointFree(pointer);
      });
  if (!found) {
    if (last_code() == VIR_ERR_NO_DOMAIN_CHECKPOINT) return;
    throw last_error("cannot find checkpoint " + checkpoint);
  }
  if (::virDomainCheckpointDelete(found.get(), 0) == 0) return;
  base::Error error = last_error("cannot delete checkpoint " + checkpoint + " of " + name_);
  base::log().info("{}; deleting only libvirt's record of it", error.message());
  if (::virDomainCheckpointDelete(found.get(), VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY) != 0) {
    throw last_error("cannot delete checkpoint " + checkpoint + " of " + name_);
  }
}

}  // namespace agent::libvirt
