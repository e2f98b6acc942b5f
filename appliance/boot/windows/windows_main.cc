// muletto-windows: prepares a Windows for other hardware, on the NTFS file system in FILE, and prints
// what it did as JSON. The appliance runs it confined (base/confinement.h), on a layer that it
// discards if this program does not end well: it can do no harm because it has no privileges.
//   muletto-windows prepare FILE            {"windows": false}, or as prepare_hive() and hibernated
//   muletto-windows restore FILE CHANGES    CHANGES is JSON, as prepare printed it
//   muletto-windows hive HIVE               prepare_hive() on a hive alone, for tests
// Exit code 0: done, and read back; 1: it was not, the sentence is on standard error; 3: as 1, and
// nothing was written.
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "appliance/boot/windows/hive_edit.h"
#include "base/clean_text.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/subprocess.h"

namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr std::chrono::minutes kPatience{3};
constexpr size_t kMaxWords = 300;
constexpr size_t kMaxHive = 24 << 20;  // two of them, and what libhivex adds, must fit into /tmp
constexpr const char* kHive = "/tmp/system.hive";
constexpr const char* kCheck = "/tmp/system.check";
// As Windows, and before it Windows XP, spells it.
constexpr std::array<const char*, 4> kHivePaths{
    "Windows/System32/config/SYSTEM", "Windows/System32/Config/SYSTEM",
    "WINDOWS/system32/config/SYSTEM", "WINDOWS/system32/config/system"};

bool nothing_written = true;

// A file of the file system, its first `limit` bytes; false if there is none that can be read.
bool copy_out(const std::string& device, const std::string& path, const std::string& to,
              size_t limit) {
  base::CommandResult done =
      base::run_command({"sh", "-c", R"(ntfscat -f "$0" "$1" 2>/dev/null | head -c "$3" > "$2")",
                         device, path, to, std::to_string(limit)},
                        kPatience);
  return done.status == 0 && std::filesystem::exists(to) && std::filesystem::file_size(to) > 0;
}

std::string find_hive(const std::string& device) {
  for (const char* path : kHivePaths) {
    if (!copy_out(device, path, kHive, kMaxHive + 1)) continue;
    if (std::filesystem::file_size(kHive) > kMaxHive) {
      throw Error(ErrorCode::unsupported,
                  "the registry's SYSTEM hive is larger than can be prepared (24 MiB)");
    }
    return path;
  }
  return "";
}

bool is_hibernated(const std::string& device) {
  const std::string start = "/tmp/hiberfil";
  if (!copy_out(device, "hiberfil.sys", start, 4)) return false;
  base::CommandResult done = base::run_command({"head", "-c", "4", start});
  return done.output == "hibr" || done.output == "HIBR" || done.output == "RSTR";
}

void copy_in(const std::string& device, const std::string& path) {
  // Refuses a file system that is dirty, or whose Windows sleeps.
  base::CommandResult tried = base::run_command({"ntfscp", "-q", device, kHive, path}, kPatience);
  if (tried.status != 0) {
    std::string words = base::clean_text(tried.errors, kMaxWords);
    bool unclean =
        words.find("unclean") != std::string::npos || words.find("dirty") != std::string::npos ||
        words.find("hibernated") != std::string::npos ||
        words.find("chkdsk") != std::string::npos || words.find("check") != std::string::npos;
    nothing_written = unclean;
    throw Error(ErrorCode::unsupported,
                unclean
                    ? "its NTFS file system was not closed cleanly, as when Windows was running, "
                      "so it is not written to: a point taken after Windows was shut down can be "
                      "prepared"
                    : fmt::format("the changed registry cannot be written: {}", words));
  }
  nothing_written = false;
  bool same = copy_out(device, path, kCheck, kMaxHive * 2) &&
              base::run_command({"cmp", "-s", kHive, kCheck}).status == 0;
  if (!same) throw Error(ErrorCode::io, "the changed registry was not read back as it was written");
}

json prepare(const std::string& device) {
  std::string path = find_hive(device);
  if (path.empty()) return {{"windows", false}};
  json answer;
  if (is_hibernated(device)) {
    throw Error(
        ErrorCode::unsupported,
        "Windows was hibernated, or shut down with fast startup, which keeps its old hardware "
        "in memory: shut it down completely (shutdown /s /t 0 on the original) before the "
        "next point");
  }
  answer = appliance::boot::windows::prepare_hive(kHive);
  if (!answer["changes"].empty()) copy_in(device, path);
  answer["windows"] = true;
  return answer;
}

json restore(const std::string& device, const std::string& changes) {
  std::string path = find_hive(device);
  if (path.empty()) throw Error(ErrorCode::not_found, "there is no Windows any more");
  size_t count =
      appliance::boot::windows::restore_hive(kHive, base::parse_json(changes, "the changes"));
  if (count != 0) copy_in(device, path);
  return {{"restored", count}};
}

json run(const std::vector<std::string>& words) {
  if (words.size() == 2 && words[0] == "prepare") return prepare(words[1]);
  if (words.size() == 3 && words[0] == "restore") return restore(words[1], words[2]);
  if (words.size() == 2 && words[0] == "hive")
    return appliance::boot::windows::prepare_hive(words[1]);
  throw Error(ErrorCode::invalid_argument,
              "usage: muletto-windows prepare FILE | restore FILE CHANGES | hive HIVE");
}

}  // namespace

int main(int count, char** arguments) {
  try {
    std::string text = base::dump_text(run({arguments + 1, arguments + count}));
    return std::puts(text.c_str()) >= 0 && std::fflush(stdout) == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return nothing_written ? 3 : 1;
  }
}
