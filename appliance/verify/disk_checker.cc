// First every disk is looked at, then the volumes that lie on them, and only then is anything
// checked: a volume group may lie on several disks.
#include "appliance/verify/disk_checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "appliance/verify/check_cost.h"
#include "appliance/verify/disk_layout.h"
#include "appliance/verify/disk_view.h"
#include "appliance/verify/file_system_check.h"
#include "appliance/verify/found_system.h"
#include "base/error.h"
#include "base/scratch_directory.h"

namespace appliance::verify {
namespace {

using base::Error;
using base::ErrorCode;
namespace volumes = images::volumes;

// Beside what the check itself needs: its program and libraries.
constexpr uint64_t kProgramMemory = 512ull << 20;
constexpr uint64_t kLeastMemory = 1ull << 30;
constexpr size_t kMaxFound = 512;

// The programs run at the lowest priority on a busy machine, for which RunLimits has time enough.
constexpr RunLimits kLook{};

// Something that may hold a file system.
struct Found {
  FoundPart part;  // of the disk or the volume
  FoundType content;
  ViewedPart view;     // all of what the part is in
  std::string origin;  // of a volume: "LVM on vda2"

  std::string subject() const {
    std::string words = content.type;
    if (!origin.empty()) words += (words.empty() ? "" : "; ") + origin;
    return words.empty() ? part.name : fmt::format("{} ({})", part.name, words);
  }
};

// One look at all disks.
class Examination {
 public:
  using Put = std::function<void(Observation)>;

  Examination(const DiskCheckPlan& plan, const std::stop_token& stop, Put put)
      : plan_(plan), stop_(stop), put_(std::move(put)), scratch_("/var/tmp", "muletto-look") {}

  void run() {
    for (const NamedDisk& disk : plan_.disks) {
      attempt(disk.name, [&] {
        ViewedPart view;
        view.disks = {disk.name};
        look_at(view, disk.name, "");
      });
    }
    look_into_volumes();
    is_looking_ = false;
    std::erase_if(found_, [](const Found& each) { return is_uninteresting(each.content.type); });
    for (const Found& each : found_) {
      if (!each.content.is_blank && each.content.type.empty()) continue;
      put_({.signal = Signal::volume,
            .good = !each.content.is_blank,
            .subject = each.part.name,
            .detail = each.content.type});
    }
    for (const Found& each : found_) attempt(each.subject(), [&] { check(each); });
    report_missing_mounts();
  }

 private:
  template <typename Action>
  void attempt(const std::string& subject, Action action) {
    try {
      action();
    } catch (const Error& error) {
      bool is_cancelled = error.code() == ErrorCode::cancelled;
      skip(subject,
           is_cancelled ? "its check had not finished when the test boot ended" : error.message());
      if (is_cancelled) throw;
    } catch (const std::exception& error) {
      skip(subject, error.what());
    }
  }

  void skip(const std::string& subject, std::string why) {
    if (is_looking_) is_incomplete_ = true;
    put_({.signal = Signal::file_system_skipped, .subject = subject, .detail = std::move(why)});
  }

  DiskView open(const ViewedPart& part) {
    return DiskView(plan_.source, plan_.point, part, plan_.plugin_path, scratch_.path(), stop_);
  }

  // Adds what is on a disk, or on a volume that may have partitions.
  void look_at(const ViewedPart& whole, const std::string& name, const std::string& origin) {
    DiskView view = open(whole);
    std::vector<FoundPart> parts = parts_in(
        view.run({"sfdisk", "--json", view.path()}, kLook, stop_).output, view.path(), name);
    if (parts.empty()) parts.push_back({name});
    for (const FoundPart& part : parts) add(view, part, whole, origin);
  }

  void add(DiskView& view, const FoundPart& part, const ViewedPart& whole,
           const std::string& origin) {
    if (found_.size() == kMaxFound) return;
    std::vector<std::string> words{"blkid", "-p", "-o", "export"};
    if (part.size != 0) {
      words.insert(words.end(),
                   {"--offset", std::to_string(part.offset), "--size", std::to_string(part.size)});
    }
    words.push_back(view.path());
    FinishedCommand done = view.run(words, kLook, stop_);
    found_.push_back({part, type_in(done.output, done.status), whole, origin});
  }

  void look_into_volumes() {
    VolumeLookPlan plan{plan_.source, plan_.point, plan_.disks, {}, plan_.keys, plan_.plugin_path};
    for (const Found& each : found_) {
      if (is_container(each.content.type)) plan.parts.push_back(as_part(each));
    }
    if (plan.parts.empty()) return;
    attempt("what is in its volumes", [&] {
      volumes_.emplace(plan, scratch_.path(), stop_);
      const volumes::FoundVolumes& found = volumes_->found();
      report_unread(found, plan.parts);
      for (const std::string& note : found.notes) put_({.signal = Signal::remark, .detail = note});
      for (const volumes::FoundVolume& volume : found.volumes) {
        attempt(volume.name, [&] { look_at_volume(volume); });
      }
    });
  }

  volumes::Part as_part(const Found& found) const {
    auto disk = std::find_if(plan_.disks.begin(), plan_.disks.end(), [&](const NamedDisk& each) {
      return each.name == found.view.disks.front();
    });
    volumes::Part part{found.part.name, static_cast<uint32_t>(disk - plan_.disks.begin()),
                       found.part.offset, found.part.size};
    // A table may name more than the disk has.
    part.offset = std::min(part.offset, disk->size);
    part.size = std::min(part.size == 0 ? disk->size : part.size, disk->size - part.offset);
    return part;
  }

  void report_unread(const volumes::FoundVolumes& found, const std::vector<volumes::Part>& parts) {
    std::set<std::string> told(found.used.begin(), found.used.end());
    for (const volumes::Unread& each : found.unread) {
      told.insert(each.name);
      skip(each.name,
           each.needs_key ? each.why + "; 'muletto verify key' gives the appliance one" : each.why);
    }
    for (const volumes::Part& part : parts) {
      if (!told.contains(part.name))
        skip(part.name, "it belongs to a volume, but its description cannot be read");
    }
  }

  void look_at_volume(const volumes::FoundVolume& volume) {
    ViewedPart whole;
    for (const NamedDisk& disk : plan_.disks) whole.disks.push_back(disk.name);
    whole.volume = volumes_->view_of(volume);
    if (volume.is_partitioned) return look_at(whole, volume.name, volume.origin);
    DiskView view = open(whole);
    add(view, {volume.name}, whole, volume.origin);
  }

  void check(const Found& found) {
    const std::string& type = found.content.type;
    // Its volumes are reported instead.
    if (is_container(type)) return;
    if (!check_for(type, "", 0)) {
      return skip(found.subject(),
                  type.empty() ? "it holds no known file system" : "no program checks this type");
    }
    CheckCost cost = look_inside(found);
    uint64_t memory = std::max(cost.memory_size + kProgramMemory, kLeastMemory);
    if (memory > most_check_memory()) {
      return skip(found.subject(),
                  fmt::format("its check would need about {} MiB of memory, more than the {} MiB "
                              "that one check may use on this appliance",
                              memory >> 20, most_check_memory() >> 20));
    }
    auto plan = check_for(type, "", cost.memory_size);
    ViewedPart part = part_of(found);
    part.writable = plan->writes;
    part.bounded_files = plan->bounded_files;
    DiskView view = open(part);
    FinishedCommand done = view.run(check_for(type, view.path(), cost.memory_size)->command,
                                    {.timeout = cost.timeout, .memory_size = memory}, stop_);
    CheckOutcome outcome = outcome_of(type, view.path(), done.status, done.output);
    if (outcome.result == CheckResult::unknown) return skip(found.subject(), outcome.words);
    put_({.signal = Signal::file_system,
          .good = outcome.result == CheckResult::whole,
          .subject = found.subject(),
          .detail = outcome.words});
  }

  static ViewedPart part_of(const Found& found) {
    ViewedPart part = found.view;
    part.offset = found.part.offset;
    part.size = found.part.size;
    return part;
  }

  // What its check will cost, and which operating system it holds.
  CheckCost look_inside(const Found& found) {
    const std::string& type = found.content.type;
    DiskView view = open(part_of(found));
    FinishedCommand start =
        view.run({"dd", "if=" + view.path(), fmt::format("bs={}", kSizesBlock),
                  fmt::format("skip={}", sizes_block_of(type)), "count=1", "status=none"},
                 kLook, stop_);
    std::string system = first_words(view, system_commands(type, view.path()), system_in);
    if (!system.empty()) {
      put_({.signal = Signal::system, .subject = found.part.name, .detail = system});
      std::string fstab = first_words(view, fstab_commands(type, view.path()),
                                      [](const std::string& output) { return output; });
      for (WantedMount& mount : mounts_in(fstab))
        wanted_.push_back({found.part.name, std::move(mount)});
    }
    return cost_of(type, base::as_bytes(start.output));
  }

  template <typename Reader>
  std::string first_words(DiskView& view, const std::vector<std::vector<std::string>>& commands,
                          Reader reader) {
    for (const std::vector<std::string>& command : commands) {
      FinishedCommand done = view.run(command, kLook, stop_);
      std::string words = done.status == 0 ? reader(done.output) : "";
      if (!words.empty()) return words;
    }
    return "";
  }

  // What a system mounts at its start, and no disk of the point has; if all of them could be looked
  // into.
  void report_missing_mounts() {
    if (is_incomplete_) return;
    for (const auto& [part, mount] : wanted_) {
      bool is_there = std::any_of(
          found_.begin(), found_.end(),
          [&, &wanted = mount](const Found& f) { return f.content.uuid == wanted.uuid; });
      if (is_there) continue;
      put_({.signal = Signal::remark,
            .detail = fmt::format("The system on {} mounts the file system {} at {}, which was not "
                                  "found on the point's disks: its start may wait for it.",
                                  part, mount.uuid, mount.mount_point)});
    }
  }

  const DiskCheckPlan& plan_;
  const std::stop_token& stop_;
  const Put put_;
  base::ScratchDirectory scratch_;
  std::vector<Found> found_;
  bool is_looking_ = true;      // nothing is checked yet
  bool is_incomplete_ = false;  // something could not be looked into
  std::optional<VolumeLook> volumes_;
  std::vector<std::pair<std::string, WantedMount>> wanted_;  // and who wants it
};

}  // namespace

DiskChecker::DiskChecker(DiskCheckPlan plan)
    : plan_(std::move(plan)), thread_("disk checker", base::AfterFailure::end,
                                      [this](const std::stop_token& stop) { run(stop); }) {}

DiskChecker::~DiskChecker() = default;

std::vector<Observation> DiskChecker::take() {
  auto seen = seen_.lock();
  return std::exchange(*seen, {});
}

void DiskChecker::run(const std::stop_token& stop) {
  try {
    Examination(plan_, stop, [this](Observation seen) { put(std::move(seen)); }).run();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::cancelled) {
      put({.signal = Signal::file_system_skipped,
           .subject = "the machine's disks",
           .detail = error.message()});
    }
  } catch (const std::exception& error) {
    put({.signal = Signal::file_system_skipped,
         .subject = "the machine's disks",
         .detail = error.what()});
  }
  over_ = true;
}

}  // namespace appliance::verify
