// muletto-windows: prepares a Windows for other hardware, on the NTFS file system in FILE, and prints
// what it did as JSON. The appliance runs it confined (base/confinement.h), on a layer that it
// discards if this program does not end well: it can do no harm because it has no privileges.
//   muletto-windows prepare FILE            {"windows": false}, or as prepare_hive(), and replayed:
//                                           how many entries of the hive's logs were applied
//   muletto-windows examine FILE            the same, and nothing is written
//   muletto-windows restore FILE CHANGES    CHANGES is JSON, as prepare printed it
//   muletto-windows boot KNOWN              {"found": bool, "troubles": [clauses]}, as troubles_of_boot(). KNOWN is
//       {"uefi": bool, "partitions": {identity: FILE, or "" if it is not NTFS}}; the configuration
//       is on standard input (UEFI), or on one of the partitions (BIOS)
// Exit code 0: done, and read back; 1: it was not, the sentence is on standard error; 3: as 1, and
// nothing was written.
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "appliance/boot/windows/boot_configuration.h"
#include "appliance/boot/windows/hive_edit.h"
#include "appliance/boot/windows/hive_log.h"
#include "appliance/boot/windows/ntfs_files.h"
#include "base/error.h"
#include "base/json_access.h"

namespace {

using appliance::boot::windows::NtfsFiles;
using base::Bytes;
using base::Error;
using base::ErrorCode;
using nlohmann::json;

namespace windows = appliance::boot::windows;

constexpr const char* kScratch = "/tmp/scratch.hive";
constexpr const char* kHivePath = "Windows/System32/config/SYSTEM";
constexpr size_t kMaxPartitions = 64;

bool written = false;

// A SYSTEM hive as it is in the file system, and with what was only in its logs.
struct SystemHive {
  std::string path;
  Bytes stored, current;
  size_t replayed = 0;
};

std::optional<SystemHive> read_hive(const NtfsFiles& files) {
  auto path = files.find(kHivePath);
  if (!path) return std::nullopt;
  SystemHive hive;
  hive.path = *path;
  hive.stored = files.read(*path, windows::kMaxHiveSize + 1);
  if (hive.stored.size() > windows::kMaxHiveSize) {
    throw Error(ErrorCode::unsupported,
                "the registry's SYSTEM hive is larger than can be prepared (24 MiB)");
  }
  hive.current = hive.stored;
  if (windows::is_clean(hive.stored)) return hive;
  std::vector<Bytes> logs;
  for (const char* ending : {".LOG1", ".LOG2"})
    if (auto log = files.find(std::string(kHivePath) + ending))
      logs.push_back(files.read(*log, windows::kMaxHiveSize));
  hive.replayed = windows::replay_logs(hive.current, logs);
  return hive;
}

bool is_hibernated(const NtfsFiles& files) {
  auto path = files.find("hiberfil.sys");
  if (!path) return false;
  Bytes start = files.read(*path, 4);
  std::string_view word = base::as_text(start);
  return word == "hibr" || word == "HIBR" || word == "RSTR";
}

// A driver counts only with its file.
void expect_driver(const NtfsFiles& files, const char* name, json& present) {
  if (!present.get<bool>()) return;
  auto path = files.find(fmt::format("Windows/System32/drivers/{}.sys", name));
  present = path && base::as_text(files.read(*path, 2)) == "MZ";
}

json prepare(const NtfsFiles& files, bool writes) {
  auto hive = read_hive(files);
  if (!hive) return {{"windows", false}};
  if (is_hibernated(files)) {
    throw Error(
        ErrorCode::unsupported,
        "Windows was hibernated, or shut down with fast startup, which keeps its old hardware "
        "in memory: shut it down completely (shutdown /s /t 0 on the original) before the "
        "next point");
  }
  json answer = windows::prepare_hive(hive->current, kScratch);
  expect_driver(files, "viostor", answer["virtio_disk"]);
  expect_driver(files, "vioscsi", answer["virtio_scsi"]);
  expect_driver(files, "netkvm", answer["virtio_network"]);
  if (writes && !answer["changes"].empty())
    files.write_in_place(hive->path, hive->stored, hive->current, written);
  answer["windows"] = true;
  answer["replayed"] = hive->replayed;
  return answer;
}

json restore(const NtfsFiles& files, const std::string& changes) {
  auto hive = read_hive(files);
  if (!hive) throw Error(ErrorCode::not_found, "there is no Windows any more");
  size_t count =
      windows::restore_hive(hive->current, kScratch, base::parse_json(changes, "the changes"));
  if (count != 0) files.write_in_place(hive->path, hive->stored, hive->current, written);
  return {{"restored", count}};
}

Bytes boot_configuration(bool is_uefi, const json& partitions) {
  if (is_uefi) {
    std::cin >> std::noskipws;
    return {std::istream_iterator<char>(std::cin), std::istream_iterator<char>()};
  }
  for (const auto& [identity, place] : partitions.items()) {
    NtfsFiles files(place.get<std::string>());
    auto path = place == "" ? std::nullopt : files.find("Boot/BCD");
    if (path) return files.read(*path, windows::kMaxBootConfiguration);
  }
  return {};
}

json judge_boot(const json& known) {
  const json& partitions = known.at("partitions");
  if (!partitions.is_object() || partitions.size() > kMaxPartitions)
    throw Error(ErrorCode::invalid_argument, "the partitions are not as they should be");
  windows::KnownSystem system;
  system.is_uefi = base::expect_flag(known, "uefi");
  system.has_partition = [&](const std::string& identity) { return partitions.contains(identity); };
  system.has_file = [&](const std::string& identity, const std::string& path) {
    bool is_looked_into = false;
    for (const auto& [name, place] : partitions.items()) {
      if (place == "" || (!identity.empty() && name != identity)) continue;
      try {
        if (NtfsFiles(place.get<std::string>()).find(path)) return true;
        is_looked_into = true;
      } catch (const Error&) {
        // It cannot be read, so nobody knows.
      }
    }
    return !is_looked_into;
  };
  Bytes bytes = boot_configuration(system.is_uefi, partitions);
  if (bytes.empty())
    return {{"found", false}, {"troubles", {"there is no boot configuration (Boot\\BCD)"}}};
  return {{"found", true}, {"troubles", windows::troubles_of_boot(bytes, kScratch, system)}};
}

json run(const std::vector<std::string>& words) {
  if (words.size() == 2 && words[0] == "prepare") return prepare(NtfsFiles(words[1]), true);
  if (words.size() == 2 && words[0] == "examine") return prepare(NtfsFiles(words[1]), false);
  if (words.size() == 3 && words[0] == "restore") return restore(NtfsFiles(words[1]), words[2]);
  if (words.size() == 2 && words[0] == "boot")
    return judge_boot(base::parse_json(words[1], "what is known"));
  throw Error(
      ErrorCode::invalid_argument,
      "usage: muletto-windows prepare FILE | examine FILE | restore FILE CHANGES | boot KNOWN");
}

}  // namespace

int main(int count, char** arguments) {
  try {
    std::string text = base::dump_text(run({arguments + 1, arguments + count}));
    return std::puts(text.c_str()) >= 0 && std::fflush(stdout) == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return written ? 1 : 3;
  }
}
