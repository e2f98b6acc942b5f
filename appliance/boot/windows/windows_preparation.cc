#include "appliance/boot/windows/windows_preparation.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/clean_text.h"
#include "base/confinement.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"

namespace appliance::boot {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::minutes kReadyTimeout{1}, kEndTimeout{2}, kWorkTimeout{4};
constexpr std::chrono::milliseconds kLook{20};
constexpr std::chrono::seconds kProcessorTime{120};
constexpr size_t kMaxWords = 400;
constexpr size_t kMaxPartitions = 16;
constexpr uint32_t kSector = 512;
constexpr int kNothingWritten = 3;  // exit code of muletto-windows

// One partition of an overlay as a file that can be written.
class PartitionView {
 public:
  PartitionView(const std::string& overlay_path, const NtfsPartition& partition)
      : scratch_("/var/tmp", "muletto-windows"), path_(scratch_.path() + "/partition") {
    // The confined program must pass through here.
    std::filesystem::permissions(scratch_.path(), static_cast<std::filesystem::perms>(0711));
    std::ofstream place(path_);
    place.close();
    std::string ready = scratch_.path() + "/ready";
    json disk{{"driver", "qcow2"},
              {"node-name", "disk"},
              {"file", {{"driver", "file"}, {"filename", overlay_path}}}};
    json part{{"driver", "raw"},
              {"node-name", "part"},
              {"file", "disk"},
              {"offset", partition.offset},
              {"size", partition.size}};
    json exported{{"type", "fuse"},      {"id", "part"},     {"node-name", "part"},
                  {"mountpoint", path_}, {"writable", true}, {"growable", false},
                  {"allow-other", "on"}};
    base::SubprocessOptions options;
    options.output_path = scratch_.path() + "/server.log";
    server_.emplace(
        std::vector<std::string>{"unshare", "--mount", "--propagation", "private",
                                 "qemu-storage-daemon", "--blockdev", base::dump_text(disk),
                                 "--blockdev", base::dump_text(part), "--export",
                                 base::dump_text(exported), "--pidfile", ready},
        options);
    auto deadline = Clock::now() + kReadyTimeout;
    while (!std::filesystem::exists(ready)) {
      bool ended = server_->wait_for(kLook).has_value();
      if (!ended && Clock::now() < deadline) continue;
      throw Error(ErrorCode::unavailable,
                  fmt::format("its disk cannot be presented to the preparation: {}",
                              base::clean_text(words(options.output_path), kMaxWords)));
    }
    // The confined user may write to it; nobody else sees it, in a mount namespace of its own.
    ::chmod(fmt::format("/proc/{}/root{}", server_->pid(), path_).c_str(), 0666);
  }

  base::CommandResult run(std::vector<std::string> command) {
    base::Confinement confinement;
    confinement.namespaces_of = server_->pid();
    confinement.writable_path = path_;
    confinement.file_size = 0;
    confinement.processor_time = kProcessorTime;
    confinement.nice = 0;
    return base::run_command(base::confined(command, confinement), kWorkTimeout);
  }

  // Everything is in the overlay when it returns.
  void close() {
    server_->signal(SIGTERM);
    auto status = server_->wait_for(kEndTimeout);
    if (!status || *status != 0)
      throw Error(ErrorCode::io, "what was prepared could not be written to the overlay");
    server_.reset();
  }

  const std::string& path() const { return path_; }

 private:
  static std::string words(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text(4096, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(file.gcount()));
    return text;
  }

  base::ScratchDirectory scratch_;
  std::string path_;
  std::optional<base::Subprocess> server_;
};

std::string shown_key(const std::string& key) { return base::clean_text(key, 200); }

std::string sentence_of(const json& change) {
  std::string key = shown_key(base::expect_text(change, "key", 200));
  if (base::find_field(change, "removed") != nullptr)
    return fmt::format("Windows was prepared: the registry key {} was removed.", key);
  uint64_t after = base::expect_natural(change, "after");
  return fmt::format("Windows was prepared: the driver {} starts {} (Start was {}, is {}).", key,
                     after == 0 ? "with the boot loader" : "on demand",
                     base::expect_natural(change, "before"), after);
}

// The program's exit code and words, as an error with its sentence.
json answer_of(const base::CommandResult& done) {
  if (done.status != 0) {
    std::string words = base::clean_text(done.errors, kMaxWords);
    throw Error(
        done.status == kNothingWritten ? ErrorCode::unsupported : ErrorCode::io,
        words.empty() ? fmt::format("the preparation ended with status {}", done.status) : words);
  }
  return base::parse_json(done.output, "the preparation's answer");
}

void note_changes(const json& answer, WindowsOutcome& outcome) {
  const json& changes = base::expect_list(answer, "changes", 1024);
  for (const json& each : changes) outcome.notes.push_back(sentence_of(each));
  if (changes.empty()) {
    outcome.notes.push_back(
        "Windows needed no preparation: the drivers of its new controllers start already.");
  } else {
    outcome.changes = base::dump_text(changes);
  }
  if (base::find_flag(answer, "fast_start").value_or(false)) {
    outcome.notes.push_back(
        "Windows has fast startup switched on: after a shutdown it may come up with its former "
        "hardware in memory. 'powercfg /h off' in it prevents that.");
  }
}

}  // namespace

std::vector<NtfsPartition> ntfs_partitions(images::DiskReader& disk,
                                           const DiskInspection& inspection) {
  std::vector<uint64_t> starts = inspection.partition_starts;
  std::sort(starts.begin(), starts.end());
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  std::vector<NtfsPartition> found;
  for (size_t i = 0; i < starts.size() && found.size() < kMaxPartitions; ++i) {
    uint64_t end = i + 1 < starts.size() ? std::min(starts[i + 1], disk.size()) : disk.size();
    if (starts[i] % kSector != 0 || starts[i] >= end || end - starts[i] < kSector) continue;
    std::array<uint8_t, kSector> sector{};
    disk.read(starts[i], sector);
    if (std::memcmp(sector.data() + 3, "NTFS    ", 8) != 0) continue;
    uint64_t size = (end - starts[i]) / kSector * kSector;
    found.push_back({disk.disk().name, starts[i], size});
  }
  return found;
}

WindowsOutcome prepare_windows(const std::string& overlay_path, const NtfsPartition& partition) {
  WindowsOutcome outcome;
  try {
    PartitionView view(overlay_path, partition);
    outcome.must_discard = true;  // unless it ends well
    base::CommandResult done =
        view.run({base::program_beside("muletto-windows"), "prepare", view.path()});
    json answer;
    try {
      answer = answer_of(done);
    } catch (const Error&) {
      outcome.must_discard = done.status != kNothingWritten;
      throw;
    }
    WindowsOutcome good;
    if (base::expect_flag(answer, "windows")) note_changes(answer, good);
    view.close();
    return good;
  } catch (const std::exception& error) {
    outcome.notes.push_back(fmt::format(
        "Windows on disk {} was not prepared for other hardware: {}. It may stop with 0x7B "
        "(INACCESSIBLE_BOOT_DEVICE): then choose another disk bus (--disk-bus).",
        partition.disk, base::clean_text(error.what(), kMaxWords)));
    base::log().warn("{}", outcome.notes.back());
    return outcome;
  }
}

std::string take_back_windows(const std::string& overlay_path, const NtfsPartition& partition,
                              const std::string& changes) {
  PartitionView view(overlay_path, partition);
  json answer = answer_of(
      view.run({base::program_beside("muletto-windows"), "restore", view.path(), changes}));
  view.close();
  return fmt::format("{} of the changes to Windows on disk {} were taken back.",
                     base::expect_natural(answer, "restored"), partition.disk);
}

}  // namespace appliance::boot
