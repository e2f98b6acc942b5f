#include "appliance/boot/block_pull.h"

#include <fmt/format.h>

#include <algorithm>
#include <pugixml.hpp>
#include <sstream>

#include "base/error.h"
#include "base/log.h"
#include "images/export/export_process.h"
#include "images/store/place/open_place.h"
#include "images/store/store_reader.h"

namespace appliance::boot {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint64_t kDomainXmlLimit = 4 << 20;
// QEMU failed this often without having copied anything in between. An export that died is
// unavailable for a second or two, and QEMU waits minutes for it, so this happens only with a
// damaged store or a full disk.
constexpr int kMaxFailures = 5;
constexpr uint64_t kExtentStep = 1ull << 34;  // bytes of disk whose extents are queried at once
constexpr uint64_t kTableShare = 8192;        // qcow2: 8 bytes of table for each cluster of 64 KiB

}  // namespace

// Copying one disk.
struct BlockPull::Disk {
  VmDisk disk;
  bool asked = false;  // copying was started by this object or was found running
  bool is_local = false;
  uint64_t done = 0, done_at_failure = 0;
  int failures = 0;
};

BlockPull::BlockPull(Hypervisor& hypervisor, WithRecord with_record, uint64_t bandwidth)
    : hypervisor_(hypervisor), with_record_(std::move(with_record)), bandwidth_(bandwidth) {
  with_record_([&](BootRecord& record, const BootPaths& paths) {
    if (hypervisor_.state(record.vm.domain_name) == DomainState::off) {
      throw Error(ErrorCode::busy,
                  fmt::format("{} is not running, and only a running VM can be moved",
                              record.vm.machine_name));
    }
    domain_ = record.vm.domain_name;
    machine_ = record.vm.machine_name;
    for (const VmDisk& disk : record.vm.disks) disks_.push_back({.disk = disk});
    record.vm.is_pulling = true;
    record.vm.pull_bandwidth = bandwidth_;
    write_record(base::real_file_system(), paths, record);
  });
}

BlockPull::~BlockPull() = default;

bool BlockPull::step() {
  if (!look()) return false;
  finish();
  return true;
}

// For every disk: is it local, is it being copied, or must copying be started (again)? True when
// all are local.
bool BlockPull::look() {
  bool all_local = true;
  for (Disk& each : disks_) {
    if (!each.is_local) look_at(each);
    all_local = all_local && each.is_local;
  }
  return all_local;
}

void BlockPull::look_at(Disk& each) {
  const std::string& path = each.disk.overlay_path;
  try {
    if (auto job = hypervisor_.pull_progress(domain_, path)) {
      each.asked = true;
      // QEMU reports progress in its own units, relative to its own end.
      double share =
          job->total == 0 ? 0 : static_cast<double>(job->done) / static_cast<double>(job->total);
      each.done = static_cast<uint64_t>(share * static_cast<double>(each.disk.size));
      return;
    }
    if (!has_backing(hypervisor_.domain_xml(domain_), path)) {
      each.is_local = true;
      each.done = each.disk.size;
      return;
    }
    if (each.asked) count_failure(each);
    hypervisor_.start_pull(domain_, path, bandwidth_);
    each.asked = true;
  } catch (const Error& error) {
    if (hypervisor_.state(domain_) == DomainState::off) end_with_the_guest();
    // A moment in which libvirt is busy with this disk, or is being restarted.
    if (error.code() != ErrorCode::busy && error.code() != ErrorCode::unavailable) throw;
    base::log().debug("pulling {}: {}", machine_, error.message());
  }
}

void BlockPull::count_failure(Disk& each) {
  each.failures = each.done > each.done_at_failure ? 1 : each.failures + 1;
  each.done_at_failure = each.done;
  each.asked = false;
  base::log().warn("QEMU stopped copying disk {} of {}; it is started again", each.disk.name,
                   machine_);
  if (each.failures < kMaxFailures) return;
  mark_over();
  throw Error(
      ErrorCode::io,
      fmt::format("QEMU cannot copy disk {} of {}: is the appliance's disk full, or the point "
                  "damaged? What was copied stays, and the VM continues as before",
                  each.disk.name, machine_));
}

PullProgress BlockPull::progress() const {
  PullProgress sum;
  for (const Disk& each : disks_) {
    sum.done += each.done;
    sum.total += each.disk.size;
  }
  return sum;
}

void BlockPull::end_with_the_guest() {
  mark_over();
  throw Error(ErrorCode::busy, fmt::format("the VM of {} has ended before it was moved; what was "
                                           "copied is kept, and the rest can be copied when it "
                                           "runs again",
                                           machine_));
}

void BlockPull::mark_over() {
  with_record_([&](BootRecord& record, const BootPaths& paths) {
    record.vm.is_pulling = false;
    write_record(base::real_file_system(), paths, record);
  });
}

void BlockPull::give_up() {
  for (const Disk& each : disks_) {
    try {
      if (!each.is_local) hypervisor_.cancel_pull(domain_, each.disk.overlay_path);
    } catch (const Error& error) {
      base::log().warn("pulling {}: {}", machine_, error.message());
    }
  }
  mark_over();
}

void BlockPull::finish() {
  with_record_([&](BootRecord& record, const BootPaths& paths) {
    hypervisor_.release_exports(domain_);
    base::Bytes xml = base::read_file(base::real_file_system(), paths.domain_path, kDomainXmlLimit);
    std::string local = without_exports(std::string(base::as_text(xml)));
    base::write_file_durably(base::real_file_system(), paths.domain_path, base::as_bytes(local));
    record.vm.is_local = true;
    record.vm.is_pulling = false;
    write_record(base::real_file_system(), paths, record);
    if (auto process = images::ExportProcess::find(paths.socket_path)) process->stop();
  });
}

namespace {

pugi::xml_document parse(const std::string& domain_xml) {
  pugi::xml_document document;
  if (!document.load_string(domain_xml.c_str()))
    throw Error(ErrorCode::corrupt, "the domain's definition is not XML");
  return document;
}

}  // namespace

uint64_t room_to_pull(const BootRecord& record) {
  auto store = images::StoreReader::open(images::open_place(record.vm.store),
                                         images::read_key_source(record.vm.store));
  uint64_t sum = 0;
  for (const VmDisk& disk : record.vm.disks) {
    auto reader = store->open_disk(record.vm.point, disk.name);
    for (uint64_t offset = 0; offset < reader->size(); offset += kExtentStep) {
      for (const images::Extent& extent :
           reader->extents(offset, std::min(kExtentStep, reader->size() - offset))) {
        if (extent.kind == images::ExtentKind::data) sum += extent.length;
      }
    }
    sum += reader->size() / kTableShare;
  }
  return sum;
}

std::string without_exports(const std::string& domain_xml) {
  pugi::xml_document document = parse(domain_xml);
  for (pugi::xml_node disk : document.child("domain").child("devices").children("disk")) {
    pugi::xml_node backing = disk.child("backingStore");
    if (!backing) continue;
    disk.insert_child_before("backingStore", backing);
    disk.remove_child(backing);
  }
  std::ostringstream text;
  document.save(text, "  ", pugi::format_indent | pugi::format_no_declaration);
  return text.str();
}

bool has_backing(const std::string& domain_xml, const std::string& overlay_path) {
  pugi::xml_document document = parse(domain_xml);
  for (const pugi::xml_node& disk : document.child("domain").child("devices").children("disk")) {
    if (overlay_path != disk.child("source").attribute("file").as_string()) continue;
    return static_cast<bool>(disk.child("backingStore").child("source")) ||
           static_cast<bool>(disk.child("mirror"));
  }
  throw Error(ErrorCode::not_found, "the domain has no disk on " + overlay_path);
}

}  // namespace appliance::boot
