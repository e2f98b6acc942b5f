#include "appliance/boot/windows/partition_view.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "base/clean_text.h"
#include "base/confinement.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

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
constexpr int kNothingWritten = 3;  // exit code of muletto-windows

std::string words_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(4096, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

// The program's exit code and words, as an error with its sentence.
json answer_of(const base::CommandResult& done) {
  if (done.status != 0) {
    std::string words = base::clean_text(base::trim(done.errors), kMaxWords);
    throw Error(
        done.status == kNothingWritten ? ErrorCode::unsupported : ErrorCode::io,
        words.empty() ? fmt::format("the preparation ended with status {}", done.status) : words);
  }
  return base::parse_json(done.output, "the preparation's answer");
}

}  // namespace

PartitionView::PartitionView(json image, const std::vector<PresentedRange>& ranges, Access access)
    : scratch_("/var/tmp", "muletto-windows"), access_(access) {
  // The confined program must pass through here.
  std::filesystem::permissions(scratch_.path(), static_cast<std::filesystem::perms>(0711));
  std::string ready = scratch_.path() + "/ready";
  image["node-name"] = "disk";
  image["read-only"] = access == Access::read;
  std::vector<std::string> command{"unshare",
                                   "--mount",
                                   "--propagation",
                                   "private",
                                   "qemu-storage-daemon",
                                   "--blockdev",
                                   base::dump_text(image)};
  for (size_t i = 0; i < ranges.size(); ++i) {
    paths_.push_back(fmt::format("{}/partition{}", scratch_.path(), i));
    std::ofstream place(paths_.back());
    place.close();
    bool writable = access == Access::write && i == 0;
    std::string name = fmt::format("part{}", i);
    json part{{"driver", "raw"},        {"node-name", name},
              {"file", "disk"},         {"offset", ranges[i].offset},
              {"size", ranges[i].size}, {"read-only", !writable}};
    json exported{{"type", "fuse"},          {"id", name},           {"node-name", name},
                  {"mountpoint", paths_[i]}, {"writable", writable}, {"growable", false},
                  {"allow-other", "on"}};
    for (const auto& [option, value] : {std::pair{"--blockdev", part}, {"--export", exported}}) {
      command.push_back(option);
      command.push_back(base::dump_text(value));
    }
  }
  command.insert(command.end(), {"--pidfile", ready});
  base::SubprocessOptions options;
  options.output_path = scratch_.path() + "/server.log";
  server_.emplace(command, options);
  auto deadline = Clock::now() + kReadyTimeout;
  while (!std::filesystem::exists(ready)) {
    bool ended = server_->wait_for(kLook).has_value();
    if (!ended && Clock::now() < deadline) continue;
    throw Error(ErrorCode::unavailable,
                fmt::format("its disk cannot be presented to the preparation: {}",
                            base::clean_text(words_of(options.output_path), kMaxWords)));
  }
  // The confined user may use them; nobody else sees them, in a mount namespace of its own.
  for (size_t i = 0; i < paths_.size(); ++i) {
    ::chmod(fmt::format("/proc/{}/root{}", server_->pid(), paths_[i]).c_str(),
            access == Access::write && i == 0 ? 0666 : 0444);
  }
}

json PartitionView::run(std::vector<std::string> words, const std::string& input_path) {
  words.insert(words.begin(), base::program_beside("muletto-windows"));
  base::Confinement confinement;
  confinement.namespaces_of = server_->pid();
  if (access_ == Access::write) confinement.writable_path = paths_.front();
  confinement.file_size = 0;
  confinement.processor_time = kProcessorTime;
  confinement.nice = 0;
  confinement.input_path = input_path;
  return answer_of(base::run_command(base::confined(words, confinement), kWorkTimeout));
}

void PartitionView::close() {
  server_->signal(SIGTERM);
  auto status = server_->wait_for(kEndTimeout);
  if (!status || *status != 0)
    throw Error(ErrorCode::io, "what was prepared could not be written to the overlay");
  server_.reset();
}

json overlay_image(const std::string& path) {
  return {{"driver", "qcow2"}, {"file", {{"driver", "file"}, {"filename", path}}}};
}

json raw_image(const std::string& path) {
  bool is_device = std::filesystem::is_block_file(path);
  return {{"driver", is_device ? "host_device" : "file"}, {"filename", path}};
}

json exported_image(const std::string& socket_path, const std::string& disk_name) {
  return {{"driver", "nbd"},
          {"server", {{"type", "unix"}, {"path", socket_path}}},
          {"export", disk_name}};
}

}  // namespace appliance::boot
