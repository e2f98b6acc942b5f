#include "restore/engine/target_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace restore {
namespace {

using base::Error;
using base::ErrorCode;

// Past what carries signatures a target may still hold data: a look at so many places.
constexpr uint64_t kLookSize = 65536, kLookCount = 256;

bool holds_data_within(const Target& target) {
  base::Bytes bytes(kLookSize);
  const uint64_t step = std::max(target.size() / kLookCount / kLookSize, uint64_t{1}) * kLookSize;
  for (uint64_t offset = step; offset < target.size(); offset += step) {
    uint64_t size = std::min(kLookSize, target.size() - offset);
    base::MutableByteView part = base::MutableByteView(bytes).first(size);
    target.read(offset, part);
    if (!base::is_all_zero(part)) return true;
  }
  return false;
}

// A file without data has no extent that holds any.
bool is_a_hole(const Target& target) {
  if (target.kind() == TargetKind::device) return false;
  for (const images::Extent& extent : target.extents(0, target.size()))
    if (extent.kind != images::ExtentKind::zero) return false;
  return true;
}

void note_size(const Target& target, uint64_t disk_size, TargetFindings& findings) {
  if (target.size() == disk_size) return;
  std::string difference = base::format_size(target.size() > disk_size ? target.size() - disk_size
                                                                       : disk_size - target.size());
  if (target.kind() == TargetKind::file) {
    if (target.size() == 0) return;  // a new one
    findings.notes.push_back(fmt::format("{} was {} {} than the disk and has its size now",
                                         target.path(), difference,
                                         target.size() > disk_size ? "larger" : "smaller"));
    return;
  }
  findings.notes.push_back(fmt::format(
      "{} is {} larger than the disk; what lies after the disk's end was left as it is. If the "
      "disk has a GPT, 'sgdisk -e {}' moves its backup header to the device's end",
      target.path(), difference, target.path()));
}

std::string join(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : ", ") + word;
  return all;
}

}  // namespace

std::string TargetFindings::description() const {
  if (is_empty) return "nothing";
  return signatures.empty() ? "data of an unknown kind" : join(signatures);
}

TargetFindings examine_target(const Target& target, images::DiskReader& disk) {
  TargetFindings findings;
  findings.size = target.size();
  if (target.kind() == TargetKind::device && target.size() < disk.size()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{} has {}, the disk needs {}: choose a larger one", target.path(),
                            base::format_size(target.size()), base::format_size(disk.size())));
  }
  note_size(target, disk.size(), findings);
  if (is_a_hole(target)) {
    findings.is_empty = true;
    return findings;
  }
  auto read_target = [&](uint64_t offset, base::MutableByteView out) { target.read(offset, out); };
  DiskContent content = content_of(target.size(), read_target);
  findings.signatures = content.signatures;
  findings.is_empty = content.is_blank && !holds_data_within(target);
  if (content.signatures.empty()) return findings;
  // As if the disk had the target's size: what a cut or a larger disk shows is the same then.
  auto read_disk = [&](uint64_t offset, base::MutableByteView out) {
    uint64_t within =
        offset < disk.size() ? std::min<uint64_t>(out.size(), disk.size() - offset) : 0;
    std::fill(out.begin() + static_cast<ptrdiff_t>(within), out.end(), uint8_t{0});
    if (within > 0) disk.read(offset, out.first(within));
  };
  DiskContent own = content_of(target.size(), read_disk);
  std::set_difference(content.signatures.begin(), content.signatures.end(), own.signatures.begin(),
                      own.signatures.end(), std::back_inserter(findings.foreign));
  return findings;
}

void require_overwritable(const Target& target, const TargetFindings& findings,
                          const std::string& machine_name, const Overwriting& overwriting) {
  if (findings.is_empty) return;
  if (overwriting.machine_name != machine_name) {
    std::string given = overwriting.machine_name.empty()
                            ? ""
                            : fmt::format(" ('{}' is another name)", overwriting.machine_name);
    std::string whose = findings.foreign.empty() ? "" : ", which this disk does not have";
    throw Error(ErrorCode::already_exists,
                fmt::format("{} holds {}{}. Nothing was written; if it may be lost, say so with "
                            "the machine's name: --overwrite '{}'{}",
                            target.path(), findings.description(), whose, machine_name, given));
  }
  if (!findings.foreign.empty() && !overwriting.erase_foreign) {
    throw Error(ErrorCode::already_exists,
                fmt::format("{} holds {}, which the disk of '{}' does not have: it seems to be "
                            "another disk. Nothing was written; --erase-foreign overwrites it all "
                            "the same",
                            target.path(), join(findings.foreign), machine_name));
  }
}

}  // namespace restore
