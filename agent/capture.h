// One machine held at one instant, to be copied: its disks, its definition, and what is to be done
// after the copy is committed or abandoned. Implementations: image files (image_capture.h), a
// domain that is shut off (stopped_capture.h), a running domain (libvirt/running_capture.h).
//
// created → disks() are copied, check() is called from time to time → end_reading() → commit →
// committed(). Destroyed earlier, it leaves nothing behind. To be used by one thread, always the
// same, which must outlive it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/tracking.h"
#include "images/disk_source.h"
#include "images/point_sink.h"

namespace agent {

struct CapturedDisk {
  std::string name;
  uint64_t size = 0;  // bytes
  DiskDecision decision;
  std::unique_ptr<images::DiskSource> source;
};

class Capture {
 public:
  virtual ~Capture() = default;

  virtual const std::vector<CapturedDisk>& disks() const = 0;

  // Everything except the figures of the copy. Complete from the beginning.
  virtual const images::PointDetails& details() const = 0;

  // Throws if the disks can no longer be relied on to be of one instant, or soon will not be.
  virtual void check() = 0;

  // The disks were read: releases what the host spends on holding them. After it, only committed()
  // may follow.
  virtual void end_reading() = 0;

  // The copy has become this point, the machine's newest: tracking continues from it. Failures are
  // logged, not thrown: they cost a full read the next time, not the point.
  virtual void committed(const images::PointId& point) noexcept = 0;
};

// Which machine to capture, where the agent keeps its files, and the options.
struct CaptureSettings {
  std::string machine_name;
  std::string state_directory;  // absolute
  std::string run_directory;    // absolute, and short enough for sockets in it
  bool full = false;            // do not use change tracking
  bool freeze = true;           // freeze through the guest agent, if there is one
  bool raw_tracking = true;     // track raw disks of a running domain through QEMU's monitor
  // Rules: a disk's name, a pattern of names ("vd[b-d]", "sd*"), or, if it contains a slash, a
  // pattern of image paths ("/srv/scratch/*").
  std::vector<std::string> excluded_disks;
  // How much a guest may overwrite during a sync, in bytes of scratch files; beyond it the sync is
  // abandoned and the guest continues. 0: as much as the disk has room for.
  uint64_t scratch_limit = 0;
  // The guest's freeze hooks write a report (docs/hooks): read it, and call the point
  // application-consistent if they succeeded.
  bool hooks = false;
  // Files and folders that images may build on, in addition to their own folder:
  // images/sources/image_chain.h.
  std::vector<std::string> allowed_files{};
  std::optional<Origin> origin{};                               // of an instant VM
  std::string tpm_directory = "/var/lib/libvirt/swtpm";         // where libvirt keeps emulated TPMs
  std::string nvram_directory = "/var/lib/libvirt/qemu/nvram";  // … and UEFI variables
};

// The clauses of a point's note, in order; empty ones are left out.
std::string joined_note(const std::vector<std::string>& clauses);

// "not in the point: vdb (read-only), …"; empty for none.
std::string missing_note(const std::vector<std::string>& missing);

struct DiskLabel {
  std::string name;
  std::string path;  // may be empty
};

// The names of the disks that no rule excludes. Throws not_found for a rule without wildcards that
// matches none, and invalid_argument if nothing is left.
std::vector<std::string> wanted_disks(const std::vector<DiskLabel>& disks,
                                      const CaptureSettings& settings);

}  // namespace agent
