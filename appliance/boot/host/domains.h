// The domains of a hypervisor: defined, started, watched, ended. Thread-safe.
// Errors: unavailable if the hypervisor does not answer, not_found for a domain that is not there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "appliance/boot/model/instant_vm.h"
#include "base/bytes.h"

namespace appliance::boot {

enum class DomainState { running, paused, paused_by_io_error, shutting_down, off };

// Why a domain is not running.
enum class DomainEnd {
  unknown,    // it was never started, or the hypervisor itself was restarted since: power loss
  guest,      // the guest shut itself down
  destroyed,  // ended from outside
  crashed,    // its QEMU died
};

// A checkpoint: which disks (targets) have a bitmap of this name that records the changes since.
struct CheckpointPlan {
  std::string name;
  std::vector<std::string> disks;
};

// A domain that carries our metadata.
struct DomainSummary {
  std::string name;
  std::string uuid;
  BootId boot;
  std::string state_directory;  // of the appliance that started it
  DomainState state = DomainState::off;
};

struct Screenshot {
  std::string mime_type;  // "image/png", "image/x-portable-pixmap"
  base::Bytes bytes;
};

// An address that a guest may have: from a lease, or reported by its agent.
struct AddressClaim {
  std::string mac;       // of one of the domain's cards
  std::string address;   // as somebody wrote it
  uint32_t prefix = 24;  // bits
  bool is_lease = false;
};

enum class ClaimSource {
  leases,  // of the VM's networks
  agent,   // the guest's own
};

// One NBD connection below a domain's overlay.
struct BackingExport {
  std::string disk_name;  // the domain's target
  std::string socket_path;
  std::string export_name;
  uint32_t reconnect_delay_s = 0;  // how long requests wait for the export to come back
};

// Progress of copying one disk, in the hypervisor's own units.
struct PullJob {
  uint64_t done = 0;
  uint64_t total = 0;
};

class Domains {
 public:
  virtual ~Domains() = default;

  // Why the hypervisor would not run this domain, in its words; empty if nothing is against it. Only
  // a look: nothing is defined or started, and files that the domain names need not exist yet.
  virtual std::string refusal_of(const std::string& domain_xml) = 0;

  // Defines the domain, so that the hypervisor knows it while it is not running; replaces one of
  // the same name and UUID. Not for a running one.
  virtual void define(const std::string& domain_xml) = 0;
  // The opposite; checkpoints are removed too, files stay. No error if it is not defined.
  virtual void undefine(const std::string& name) = 0;
  virtual bool has_checkpoint(const std::string& name, const std::string& checkpoint) = 0;
  // Sets the only checkpoint of a defined domain that is not running; its bitmaps are in the
  // images. Without disks: it has none from now on.
  virtual void set_checkpoint(const std::string& name, const CheckpointPlan& plan) = 0;
  virtual DomainEnd last_end(const std::string& name) = 0;  // unknown if there is none

  // Starts a domain, a transient one unless it is defined; returns when QEMU runs. Throws with the
  // hypervisor's error message.
  virtual void start(const std::string& domain_xml) = 0;
  // The same, but its processors stand still: the guest does nothing, and its disks can be read.
  virtual void start_paused(const std::string& domain_xml) = 0;
  // Makes reads of the domain's backing exports wait, instead of failing, while an export is
  // unavailable.
  virtual void enable_reconnect(const std::string& name,
                                const std::vector<BackingExport>& exports) = 0;

  // Closes those connections, once nothing uses them any more.
  virtual void release_exports(const std::string& name) = 0;

  // Starts copying everything below the disk on `overlay_path` into it, while the guest runs; at
  // the end nothing is below it. `bandwidth` is in bytes per second, 0: no limit.
  virtual void start_pull(const std::string& name, const std::string& overlay_path,
                          uint64_t bandwidth) = 0;
  // Nothing if no such copying is running.
  virtual std::optional<PullJob> pull_progress(const std::string& name,
                                               const std::string& overlay_path) = 0;
  // Ends the copying, if there is one; what was copied stays.
  virtual void cancel_pull(const std::string& name, const std::string& overlay_path) = 0;

  virtual std::vector<DomainSummary> list() = 0;
  virtual DomainState state(const std::string& name) = 0;  // off if there is none of that name
  // Of the running domain, without secrets.
  virtual std::string domain_xml(const std::string& name) = 0;
  virtual void destroy(const std::string& name) = 0;  // no error if there is none
  virtual void shutdown(const std::string& name) = 0;
  virtual void reset(const std::string& name) = 0;
  virtual void pause(const std::string& name) = 0;
  virtual void resume(const std::string& name) = 0;
  virtual Screenshot screenshot(const std::string& name) = 0;
  // The reported addresses of the guest, none of them proved. A silent agent takes two seconds.
  virtual std::vector<AddressClaim> address_claims(const std::string& name, ClaimSource source) = 0;
};

}  // namespace appliance::boot
