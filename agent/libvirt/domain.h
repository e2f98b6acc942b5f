// libvirt as the agent needs it: a connection, and one domain with its disks, its guest agent, its
// backup job and its checkpoints. Everything here may throw base::Error with libvirt's message in
// it: not_found (no such domain), unavailable (no libvirtd), busy, unsupported, io. Objects may be
// used by several threads; libvirt does its own locking. A Domain keeps its connection open.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// libvirt's own handles; its headers stay inside this folder.
struct _virConnect;
struct _virDomain;

namespace agent::libvirt {

struct DomainSummary {
  std::string name;
  std::string uuid;
  bool running = false;
  bool is_instant_vm = false;  // a Muletto appliance's own, also a test boot
};

struct Checkpoint {
  std::string name;
  uint64_t time_s = 0;             // since 1970
  std::vector<std::string> disks;  // those with a bitmap
};

// Thrown by begin_backup() as base::Error too; tells whether a full backup may work where the
// incremental one did not.
enum class BackupOutcome { begun, bitmap_unusable };

class Domain;

class Connection {
 public:
  explicit Connection(const std::string& uri);

  // By name, or by UUID.
  Domain domain(const std::string& name) const;
  std::vector<DomainSummary> domains() const;  // sorted by name
  bool alive() const;

 private:
  std::shared_ptr<_virConnect> connection_;
};

class Domain {
 public:
  Domain(std::shared_ptr<_virConnect> connection, std::shared_ptr<_virDomain> domain);

  const std::string& name() const { return name_; }
  const std::string& uuid() const { return uuid_; }
  bool running() const;  // includes paused: its QEMU has the disks open
  bool paused() const;
  bool persistent() const;  // a transient one cannot have checkpoints
  // Of a domain that is shut off: why its disks may be as after a power cut, as a clause ("it was
  // forced off"); empty if its guest shut itself down. libvirt forgets it when it is restarted.
  std::string unclean_stop() const;
  // Where a volume of a storage pool lies on this host. Throws not_found, naming both.
  std::string volume_path(const std::string& pool, const std::string& volume) const;
  std::string live_xml() const;      // of a running domain; otherwise the same as inactive_xml()
  std::string inactive_xml() const;  // as it would be at the next start
  uint64_t disk_size(const std::string& disk) const;  // bytes, as the guest sees it

  // Freezes all file systems of the guest; takes at most kAgentTimeoutS. Throws if the guest agent
  // cannot. Other programs' commands have libvirt's default timeout again afterwards.
  void freeze() const;
  // Whether the guest agent says that file systems are frozen; nothing if it does not answer.
  std::optional<bool> frozen() const;
  // Thaws them; no error if none is frozen.
  void thaw() const;

  // Runs one command of the guest agent and returns its answer, both JSON. libvirt marks the domain
  // as tainted by it.
  std::string agent_command(const std::string& command) const;

  // Sends one command to QEMU's monitor and returns its answer, both JSON. libvirt marks the domain
  // as tainted by it.
  std::string monitor_command(const std::string& command) const;

  // What a block job does to the disk, as a noun ("a copy of it"); empty if none runs.
  std::string block_job(const std::string& disk) const;

  // Starts a pull backup into existing scratch files, and makes the checkpoint at the same instant;
  // `checkpoint_xml` may be empty. On `bitmap_unusable`, `why` gets libvirt's reason.
  BackupOutcome begin_backup(const std::string& backup_xml, const std::string& checkpoint_xml,
                             std::string& why) const;
  // The running backup job's XML; empty if there is none.
  std::string backup_xml() const;
  // Ends the backup job and returns when it is gone.
  void end_backup() const;

  std::vector<Checkpoint> checkpoints() const;
  // Removes a checkpoint and its bitmaps; its changes are merged into the previous checkpoint. If
  // bitmaps are broken or missing, or the domain is not running, only libvirt's record of it is
  // removed.
  void delete_checkpoint(const std::string& checkpoint) const;

 private:
  bool has_job() const;

  std::shared_ptr<_virConnect> connection_;
  std::shared_ptr<_virDomain> domain_;
  std::string name_;
  std::string uuid_;
};

constexpr int kAgentTimeoutS = 10;

}  // namespace agent::libvirt
