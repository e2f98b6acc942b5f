#include "appliance/boot/restart.h"

#include <algorithm>

#include "appliance/boot/files/overlay.h"
#include "base/error.h"
#include "base/log.h"

namespace appliance::boot {
namespace {

constexpr uint64_t kFirstPauseMs = 2'000;
constexpr uint64_t kLongestPauseMs = 5 * 60'000;

void track(Hypervisor& hypervisor, const BootRecord& record, Overlays overlays) {
  const std::string& domain = record.vm.domain_name;
  CheckpointPlan origin{kOriginBitmap, {}};
  bool sound = true;
  for (const VmDisk& disk : record.vm.disks) {
    origin.disks.push_back(disk.target);
    sound = sound && (overlays == Overlays::fresh || has_sound_bitmaps(disk.overlay_path));
  }
  if (overlays == Overlays::used) {
    if (sound && hypervisor.has_checkpoint(domain, kOriginBitmap)) return;
    // No checkpoint may name a bitmap that is still being created.
    hypervisor.set_checkpoint(domain, {});
    for (const VmDisk& disk : record.vm.disks) rebuild_origin_bitmap(disk.overlay_path);
  }
  hypervisor.set_checkpoint(domain, origin);
}

}  // namespace

void define_tracked(Hypervisor& hypervisor, const BootRecord& record, const std::string& domain_xml,
                    Overlays overlays) {
  hypervisor.define(domain_xml);
  try {
    track(hypervisor, record, overlays);
  } catch (const base::Error& error) {
    base::log().warn("boot {} is not tracked: {}", record.vm.id.hex(), error.message());
  }
}

AfterEnd after_end(const BootRecord& record, DomainEnd end, uint64_t now_ms) {
  if (record.holder != Holder::here) return AfterEnd::rest;
  if (end == DomainEnd::guest || end == DomainEnd::destroyed) return AfterEnd::rest;
  if (record.vm.purpose == Purpose::test) return AfterEnd::rest;
  if (record.vm.restart == RestartPolicy::wait) return AfterEnd::wait;
  if (record.failed_restarts >= kMaxFailedRestarts) return AfterEnd::give_up;
  // Further in the future than the longest pause: the clock was set back since.
  bool later =
      now_ms < record.next_restart_ms && record.next_restart_ms - now_ms <= kLongestPauseMs;
  return later ? AfterEnd::later : AfterEnd::restart;
}

void count_attempt(BootRecord& record, uint64_t now_ms) {
  uint64_t pause = kFirstPauseMs << std::min(record.failed_restarts, 16u);
  record.next_restart_ms = now_ms + std::min(pause, kLongestPauseMs);
  ++record.failed_restarts;
}

}  // namespace appliance::boot
