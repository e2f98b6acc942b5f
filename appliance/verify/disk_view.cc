#include "appliance/verify/disk_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/confinement.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"
#include "images/export/export_process.h"

namespace appliance::verify {
namespace {

using base::Error;
using base::ErrorCode;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::minutes kReadyTimeout{5};
constexpr std::chrono::milliseconds kLook{20};
constexpr size_t kMaxOutput = 64 << 10;
constexpr uint64_t kMaxLayer = 4ull << 30;  // bytes that a check may write
constexpr uint64_t kCacheSize = 16ull << 20;

std::string start_of(const std::string& path, size_t limit = kMaxOutput) {
  std::ifstream file(path, std::ios::binary);
  std::string text(limit, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

std::string last_line(const std::string& text) {
  std::string last;
  for (const std::string& line : base::split(text, '\n')) {
    if (!base::trim(line).empty()) last = base::trim(line);
  }
  return last;
}

void throw_if_stopped(const std::stop_token& stop) {
  if (stop.stop_requested())
    throw Error(ErrorCode::cancelled, "the examination of the disks was stopped");
}

std::vector<std::string> server_command(const boot::PointSource& source,
                                        const images::PointId& point, const ViewedPart& part,
                                        const std::string& plugin_path,
                                        const std::string& directory, const std::string& path) {
  std::vector<std::string> words{"unshare",
                                 "--mount",
                                 "--net",
                                 "--ipc",
                                 "--propagation",
                                 "private",
                                 "nice",
                                 "-n",
                                 "15",
                                 "prlimit",
                                 fmt::format("--fsize={}", kMaxLayer),
                                 "nbdfuse"};
  auto add = [&](std::initializer_list<std::string> more) {
    words.insert(words.end(), more.begin(), more.end());
  };
  if (!part.writable) add({"-r"});
  add({"-o", "allow_other", "-P", directory + "/ready", path, "--command", "nbdkit", "-s", "-t",
       "4"});
  add({part.writable ? "--filter=cow" : "-r"});
  if (part.size != 0) add({"--filter=offset"});
  add({plugin_path.empty() ? images::default_plugin_path() : plugin_path,
       "store=" + source.store.location, "point=" + point.hex(),
       fmt::format("cache-size={}", kCacheSize)});
  for (const std::string& disk : part.disks) add({"disk=" + disk});
  if (part.volume) {
    add({"volume-map=" + part.volume->map_path, fmt::format("volume={}", part.volume->source)});
  }
  if (!source.store.key_file.empty()) add({"key-file=" + source.store.key_file});
  if (!source.store.passphrase_file.empty())
    add({"passphrase-file=" + source.store.passphrase_file});
  if (part.size != 0)
    add({fmt::format("offset={}", part.offset), fmt::format("range={}", part.size)});
  return words;
}

}  // namespace

DiskView::DiskView(const boot::PointSource& source, const images::PointId& point,
                   const ViewedPart& part, const std::string& plugin_path,
                   const std::string& directory, const std::stop_token& stop)
    : part_(part), directory_(directory) {
  // Programs running as nobody must pass through here.
  std::filesystem::permissions(directory_, static_cast<std::filesystem::perms>(0711));
  std::string mount_point = directory_ + "/view";
  std::filesystem::create_directory(mount_point);
  path_ = mount_point + "/disk";
  base::SubprocessOptions options;
  options.output_path = directory_ + "/server.log";
  std::remove(options.output_path.c_str());
  server_.emplace(server_command(source, point, part, plugin_path, directory_, path_), options);
  auto deadline = Clock::now() + kReadyTimeout;
  while (start_of(directory_ + "/ready").empty()) {
    throw_if_stopped(stop);
    bool ended = server_->wait_for(kLook).has_value();
    if (!ended && Clock::now() < deadline) continue;
    std::string words = last_line(start_of(options.output_path));
    throw Error(ErrorCode::unavailable, words.empty() ? "it could not be opened in time" : words);
  }
}

DiskView::~DiskView() {
  server_.reset();
  std::remove((directory_ + "/ready").c_str());
}

FinishedCommand DiskView::run(const std::vector<std::string>& command, const RunLimits& limits,
                              const std::stop_token& stop) {
  base::Confinement confinement;
  confinement.namespaces_of = server_->pid();
  confinement.memory_size = limits.memory_size;
  confinement.processor_time = std::max(
      confinement.processor_time, std::chrono::duration_cast<std::chrono::seconds>(limits.timeout));
  confinement.input_path = limits.input_path;
  if (part_.writable) confinement.writable_path = base::join_path(directory_, "view");
  // The limit also applies to the file.
  if (part_.writable || !part_.bounded_files) confinement.file_size = 0;
  base::SubprocessOptions options;
  options.output_path =
      (limits.output_directory.empty() ? directory_ : limits.output_directory) + "/output";
  std::remove(options.output_path.c_str());
  base::Subprocess child(base::confined(command, confinement), options);
  auto deadline = Clock::now() + limits.timeout;
  while (true) {
    throw_if_stopped(stop);
    if (auto status = child.wait_for(kLook))
      return {*status, start_of(options.output_path, limits.output_size)};
    if (Clock::now() >= deadline) {
      auto timeout_ms = static_cast<uint64_t>(limits.timeout.count());
      throw Error(ErrorCode::unavailable, fmt::format("{} did not end within {}", command.front(),
                                                      base::format_duration_ms(timeout_ms)));
    }
  }
}

}  // namespace appliance::verify
