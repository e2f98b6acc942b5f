#include "appliance/boot/handover.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>

#include "appliance/boot/files/vm_files.h"
#include "base/check.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "images/export/export_process.h"
#include "images/sources/image_locks.h"

namespace appliance::boot {
namespace {

using base::Error;
using base::ErrorCode;

[[noreturn]] void refuse_busy(const BootRecord& record, const char* why) {
  throw Error(ErrorCode::busy, fmt::format("the instant VM {} of {} {}", record.vm.id.hex(),
                                           record.vm.machine_name, why));
}

bool is_open(const std::string& path) {
  base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw base::system_error(errno, "cannot open " + path);
  return images::is_open_in_qemu(file.get());
}

}  // namespace

HandoverView Handover::look(const BootId& id) const {
  BootRecord record = lookup_.open_own_record(id);
  return {record.vm, record.holder, record.failback, record.start_number,
          hypervisor_.state(record.vm.domain_name)};
}

BootRecord Handover::open(const BootId& id, int64_t failback) const {
  BootRecord record = lookup_.open_own_record(id);
  if (record.failback != failback) refuse_busy(record, "does not belong to this failback");
  return record;
}

void Handover::save(const BootRecord& record) const {
  write_record(base::real_file_system(), lookup_.paths_of(record.vm.id), record);
}

bool Handover::is_at_rest(const BootRecord& record) const {
  if (hypervisor_.state(record.vm.domain_name) != DomainState::off) return false;
  for (const VmDisk& disk : record.vm.disks) {
    if (is_open(disk.overlay_path)) return false;
  }
  return true;
}

void Handover::claim(const BootId& id, int64_t failback) {
  auto lock = operations_.lock_of(id);
  BootRecord record = lookup_.open_own_record(id);
  if (record.failback == failback) return;
  if (record.failback != 0) refuse_busy(record, "is being brought home already");
  if (record.vm.purpose != Purpose::instant || record.vm.timeline != Timeline::instant) {
    refuse_busy(record,
                "does not hold its machine's timeline: it is a trial, and nothing of it is to go "
                "home; see 'muletto boot set --timeline instant'");
  }
  if (record.phase != Phase::started) refuse_busy(record, "does not run: power it on first");
  record.failback = failback;
  save(record);
}

void Handover::release(const BootId& id, int64_t failback) {
  auto lock = operations_.lock_of(id);
  BootRecord record = lookup_.open_own_record(id);
  if (record.failback != failback) return;
  if (record.holder != Holder::here) refuse_busy(record, "is not here");
  record.failback = 0;
  save(record);
}

void Handover::ask_to_end(const BootId& id, int64_t failback) {
  auto lock = operations_.lock_of(id);
  BootRecord record = open(id, failback);
  if (record.holder != Holder::here) return;
  DomainState state = hypervisor_.state(record.vm.domain_name);
  if (state == DomainState::paused) hypervisor_.resume(record.vm.domain_name);
  if (state != DomainState::off) hypervisor_.shutdown(record.vm.domain_name);
}

void Handover::cut_power(const BootId& id, int64_t failback) {
  auto lock = operations_.lock_of(id);
  BootRecord record = open(id, failback);
  if (hypervisor_.state(record.vm.domain_name) == DomainState::off) return;
  if (record.holder != Holder::here) refuse_busy(record, "is not here");
  record.phase = Phase::ended;  // durable before the end, so that it is not restarted
  save(record);
  hypervisor_.destroy(record.vm.domain_name);
}

bool Handover::take_from_here(const BootId& id, int64_t failback) {
  auto lock = operations_.lock_of(id);
  BootRecord record = open(id, failback);
  if (record.holder == Holder::home) refuse_busy(record, "may run at home already");
  if (!is_at_rest(record)) return false;
  if (record.holder == Holder::nobody) return true;
  record.phase = Phase::ended;
  record.holder = Holder::nobody;
  save(record);
  base::log().info("boot {} of {} has ended, and is not started here any more: failback {}",
                   id.hex(), record.vm.machine_name, failback);
  return true;
}

void Handover::open_for_reading(const BootId& id, int64_t failback) {
  auto lock = operations_.lock_of(id);
  BootRecord record = open(id, failback);
  DomainState state = hypervisor_.state(record.vm.domain_name);
  BootPaths paths = lookup_.paths_of(id);
  if (state == DomainState::paused) {
    // Its export may have died.
    if (!record.vm.is_local && !images::ExportProcess::find(paths.socket_path))
      operations_.start_export(record, paths, ExportUse::running);
    return;
  }
  if (state != DomainState::off) refuse_busy(record, "runs though it must not");
  operations_.start_again(record, paths, GuestStart::paused);
}

void Handover::end_reading(const BootId& id, int64_t failback) {
  auto lock = operations_.lock_of(id);
  BootRecord record = open(id, failback);
  if (record.holder != Holder::nobody) return;
  hypervisor_.destroy(record.vm.domain_name);
  operations_.end_export(lookup_.paths_of(id));
}

void Handover::give_home(const BootId& id, int64_t failback, const std::string& number) {
  CHECK(!number.empty());
  auto lock = operations_.lock_of(id);
  BootRecord record = open(id, failback);
  if (record.holder == Holder::home) {
    if (record.start_number != number) refuse_busy(record, "is at home by another number");
    return;
  }
  if (record.holder != Holder::nobody) refuse_busy(record, "still runs here, or may be started");
  if (!is_at_rest(record)) refuse_busy(record, "still has its disks open");
  record.holder = Holder::home;
  record.start_number = number;
  record.vm.timeline = Timeline::production;
  save(record);
}

void Handover::take_back(const BootId& id, int64_t failback, const std::string& voided) {
  auto lock = operations_.lock_of(id);
  BootRecord record = open(id, failback);
  if (record.holder == Holder::home && (voided.empty() || voided != record.start_number))
    refuse_busy(record, "may run at home");
  bool is_read = record.holder == Holder::nobody;
  // Its QEMU that only reads has no business with what comes now.
  if (is_read) hypervisor_.destroy(record.vm.domain_name);
  if (record.holder != Holder::here && !is_at_rest(record))
    refuse_busy(record, "still has its disks open");
  record.holder = Holder::here;
  record.start_number.clear();
  record.vm.timeline = Timeline::instant;
  record.phase = Phase::started;
  record.problem.clear();
  record.failed_restarts = 0;
  record.next_restart_ms = 0;
  save(record);
  if (hypervisor_.state(record.vm.domain_name) != DomainState::off) return;
  operations_.start_again(record, lookup_.paths_of(id));
  base::log().info("boot {} of {} runs here again: failback {}", id.hex(), record.vm.machine_name,
                   failback);
}

void Handover::give_up(const BootId& id, int64_t failback) {
  auto lock = operations_.lock_of(id);
  std::optional<BootRecord> record = lookup_.find_record(id);
  if (!record) return;  // it was removed just before a crash
  if (record->failback != failback || record->holder != Holder::home)
    refuse_busy(*record, "is not at home by this failback");
  record->phase = Phase::stopping;
  record->keep_overlay = false;
  save(*record);
  operations_.finish_stop(*record, lookup_.paths_of(id));
}

}  // namespace appliance::boot
