#include "agent/homeward/home_record.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "agent/state_layout.h"
#include "base/enum_names.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/private_file.h"

namespace agent::homeward {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr size_t kMaxRecord = 256 << 10;  // bytes
constexpr size_t kMaxWord = 1024;         // bytes
constexpr auto kStates =
    base::enum_names<StartState>("a state of a start", {{StartState::none, "none"},
                                                        {StartState::starting, "starting"},
                                                        {StartState::started, "started"},
                                                        {StartState::voided, "voided"}});

HomeRecord parse(const json& text) {
  HomeRecord record;
  record.failback = base::expect_natural(text, "failback");
  record.boot = base::expect_text(text, "boot", kMaxWord);
  record.domain = base::expect_text(text, "domain", kMaxWord);
  record.is_ours = base::expect_flag(text, "is_ours");
  record.number = base::expect_text(text, "number", kMaxWord);
  record.start = kStates.value(base::expect_text(text, "start", kMaxWord));
  if (auto point = base::find_text(text, "point")) record.point = images::PointId::from_hex(*point);
  for (const json& target : base::expect_list(text, "targets", images::wire::kMaxDisks)) {
    record.targets.push_back(
        {{base::expect_text(target, "disk", kMaxWord), base::expect_text(target, "path", kMaxWord),
          base::expect_text(target, "format", kMaxWord)},
         base::expect_text(target, "mark", kMaxWord)});
  }
  return record;
}

}  // namespace

std::optional<HomeRecord> load_home_record(const std::string& state_directory,
                                           std::string_view machine_name) {
  std::string path = home_record_path(state_directory, machine_name);
  try {
    return parse(base::parse_json(base::read_private_file(path, kMaxRecord), path));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) return std::nullopt;
    throw Error(ErrorCode::corrupt, fmt::format("{} cannot be read: {}", path, error.message()));
  }
}

void save_home_record(const std::string& state_directory, std::string_view machine_name,
                      const HomeRecord& record) {
  json text{{"failback", record.failback}, {"boot", record.boot},
            {"domain", record.domain},     {"is_ours", record.is_ours},
            {"number", record.number},     {"start", kStates.name(record.start)},
            {"targets", json::array()}};
  if (record.point) text["point"] = record.point->hex();
  for (const HomeTarget& target : record.targets) {
    text["targets"].push_back({{"disk", target.place.disk},
                               {"path", target.place.path},
                               {"format", target.place.format},
                               {"mark", target.mark}});
  }
  base::write_private_file(home_record_path(state_directory, machine_name),
                           base::dump_text(text, 1) + "\n");
}

std::string file_mark(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  return fmt::format("{}:{} {} {}.{:09} {}.{:09}", status.st_dev, status.st_ino, status.st_size,
                     status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec,
                     status.st_ctim.tv_nsec);
}

}  // namespace agent::homeward
